use super::super::route::BuildInput;
use super::*;
use crate::routing::fixture::{Mesh, agent, routes};
use crate::routing::paths::avoid::Avoid;
use crate::wire::RouteAdv;

fn table(mesh: &Mesh, max_hops: u8, routes: &[RouteAdv]) -> RouteTable {
    let mut avoid = Avoid::default();
    avoid.insert_link(agent(0), agent(7));
    RouteTable::build(BuildInput {
        own: agent(0),
        max_hops,
        links: mesh.advs.iter(),
        routes: routes.iter(),
        avoid,
    })
}

/// Every candidate's number and the reason against it.
fn verdicts(explanation: &Explanation) -> Vec<(u32, Option<&str>)> {
    let number = |id: AgentId| u128::from_be_bytes(id.0) as u32;
    let candidates = explanation.candidates.iter();
    candidates
        .map(|c| (number(c.exit), c.rejected.as_deref()))
        .collect()
}

#[test]
fn every_candidate_is_listed_with_the_reason_against_it() {
    let mut mesh = Mesh::of(9);
    for (exit, rtt_class) in [(1, 0), (2, 0), (3, 5), (5, 0), (6, 0), (7, 0)] {
        mesh.link(0, exit, 1, rtt_class);
    }
    mesh.link(3, 4, 1, 0);
    mesh.link(4, 8, 1, 0);
    mesh.flags(5).draining = true;
    let offer = |exit, metric| routes(exit, &[("10.0.0.0/8", metric)], &[]);
    let advs = [
        offer(1, 0),
        offer(2, 0),
        offer(3, 0),
        offer(4, 0),
        offer(5, 0),
        offer(7, 0),
        offer(8, 0),
        routes(20, &[("10.1.0.0/16", 5)], &[]),
        routes(6, &[("0.0.0.0/0", 0)], &[]),
    ];
    let table = table(&mesh, 2, &advs);
    let explanation = table.explain("10.1.2.3", Balance::LowestMetric);
    assert_eq!(
        verdicts(&explanation),
        [
            (20, Some("no live path")),
            (1, None),
            (2, Some("same metric and rtt, tie broken by id")),
            (3, Some("same metric, tie broken by rtt")),
            (4, Some("higher metric")),
            (5, Some("draining: used only as a last resort")),
            (7, Some("suspect link: used only as a last resort")),
            (
                8,
                Some("hops over max_hops: the shortest way has 3 hops, 2 are allowed")
            ),
            (6, Some("shorter prefix")),
        ]
    );
    let chosen = explanation.chosen.unwrap();
    let live = table.candidates_for_ip([10, 1, 2, 3].into());
    assert_eq!((chosen.exit, chosen.metric), (live[0].exit, live[0].metric));
}

#[test]
fn a_second_path_says_what_is_against_it() {
    let second = |mesh: &Mesh| {
        let advs = [routes(9, &[("10.0.0.0/8", 0)], &[])];
        let explanation = table(mesh, 8, &advs).explain("10.1.2.3", Balance::LowestMetric);
        let [_, second] = &explanation.candidates[..] else {
            panic!("not two paths: {explanation:#?}");
        };
        second.rejected.clone().unwrap()
    };
    let over = |transit, cost| {
        let mut mesh = Mesh::of(10);
        for (via, cost) in [(1, cost), (transit, 1)] {
            mesh.link(0, via, cost, 0);
            mesh.link(via, 9, cost, 0);
        }
        mesh
    };
    assert!(second(&over(2, 1)).ends_with("same metric, tie broken by rtt or id"));
    assert!(second(&over(2, 3)).ends_with("higher metric"));
    // Cheaper, but under suspicion; and cheaper, but about to leave.
    assert!(second(&over(7, 3)).ends_with("suspect link"));
    let mut leaving = over(2, 3);
    leaving.flags(2).draining = true;
    assert!(second(&leaving).ends_with("an agent on it is draining"));
}

#[test]
fn the_json_shape_is_as_promised() {
    let mesh = Mesh::with_links(3, &[(0, 1), (1, 2)]);
    let advs = [routes(2, &[("10.0.0.0/8", 4)], &[])];
    let explanation = table(&mesh, 8, &advs).explain("10.0.0.1", Balance::LowestMetric);
    let hop = "00000000000000000000000000000001";
    let exit = "00000000000000000000000000000002";
    assert_eq!(
        serde_json::to_value(&explanation).unwrap(),
        serde_json::json!({
            "dest": "10.0.0.1",
            "chosen": {"exit": exit, "path": [hop, exit], "metric": 6, "rtt_ms": 0.002},
            "candidates": [{
                "exit": exit,
                "path": [hop, exit],
                "metric": 6,
                "prefix": "10.0.0.0/8",
                "rejected": null
            }]
        })
    );
}

#[test]
fn without_a_route_nothing_is_chosen() {
    let mesh = Mesh::with_links(2, &[(0, 1)]);
    let advs = [routes(9, &[("10.0.0.0/8", 4)], &[])];
    let table = table(&mesh, 8, &advs);
    let unreachable = table.explain("10.0.0.1", Balance::LowestMetric);
    assert_eq!(unreachable.chosen, None);
    assert_eq!(verdicts(&unreachable), [(9, Some("no live path"))]);
    let unknown = table.explain("192.0.2.1", Balance::LowestMetric);
    assert_eq!((unknown.chosen, unknown.candidates.len()), (None, 0));
}

#[test]
fn names_are_explained_by_domain_routes() {
    let mesh = Mesh::with_links(3, &[(0, 1), (0, 2)]);
    let advs = [
        routes(1, &[], &["*.example"]),
        routes(2, &[], &["*.corp.example"]),
    ];
    let explanation = table(&mesh, 8, &advs).explain("git.corp.example", Balance::LowestMetric);
    assert_eq!(
        verdicts(&explanation),
        [(2, None), (1, Some("less specific domain"))]
    );
    assert_eq!(explanation.candidates[0].prefix, "*.corp.example");
}

#[test]
fn balanced_exits_are_not_said_to_lose_for_good() {
    let mesh = Mesh::with_links(3, &[(0, 1), (0, 2)]);
    let advs = [1, 2].map(|exit| routes(exit, &[("fd00::/8", 0)], &[]));
    let table = table(&mesh, 8, &advs);
    for balance in [Balance::RoundRobin, Balance::LeastStreams] {
        let explanation = table.explain("[fd00::1]", balance);
        let reason = explanation.candidates[1].rejected.as_deref().unwrap();
        assert!(reason.starts_with("same metric, tie broken by"), "{reason}");
        assert!(!reason.ends_with("id"), "{reason}");
    }
}

#[test]
fn our_own_agent_is_explained_without_a_path() {
    let mesh = Mesh::with_links(2, &[(0, 1)]);
    let advs = [routes(0, &[("10.0.0.0/8", 0)], &[])];
    let explanation = table(&mesh, 8, &advs).explain("10.0.0.1", Balance::LowestMetric);
    let chosen = explanation.chosen.unwrap();
    assert_eq!(
        (chosen.exit, chosen.path.len(), chosen.metric),
        (agent(0), 0, 0)
    );
}

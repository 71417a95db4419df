use std::collections::BTreeSet;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::identity::Grants;
use crate::routing::fixture::{Mesh, agent, all_ways, any_mesh, numbers, routes};
use crate::wire::RoutePrefix;

fn table(mesh: &Mesh, routes: &[RouteAdv]) -> RouteTable {
    RouteTable::build(BuildInput {
        own: agent(0),
        max_hops: 8,
        links: mesh.advs.iter(),
        routes: routes.iter(),
        avoid: Avoid::default(),
    })
}

fn exits(candidates: &[Candidate]) -> Vec<AgentId> {
    candidates.iter().map(|candidate| candidate.exit).collect()
}

fn for_ip(table: &RouteTable, ip: &str) -> Vec<AgentId> {
    exits(&table.candidates_for_ip(ip.parse().unwrap()))
}

/// Two transits (1, 2), two exits (3, 4) behind both.
fn diamond() -> Mesh {
    Mesh::with_links(5, &[(0, 1), (0, 2), (1, 3), (1, 4), (2, 3), (2, 4)])
}

#[test]
fn only_the_longest_prefix_with_a_live_exit_counts() {
    let advs = [
        routes(3, &[("10.0.0.0/8", 0)], &[]),
        routes(4, &[("10.1.0.0/16", 50), ("10.0.0.0/8", 0)], &[]),
    ];
    let mut mesh = diamond();
    let live = table(&mesh, &advs);
    assert_eq!(for_ip(&live, "10.1.0.1"), [agent(4)]);
    assert_eq!(for_ip(&live, "10.2.0.1"), [agent(3), agent(4)]);
    assert_eq!(for_ip(&live, "::ffff:10.1.0.1"), [agent(4)]);
    assert_eq!(for_ip(&live, "11.0.0.1"), []);
    mesh.cut(1, 4);
    mesh.cut(2, 4);
    assert_eq!(for_ip(&table(&mesh, &advs), "10.1.0.1"), [agent(3)]);
}

#[test]
fn exits_are_ordered_by_standing_metric_rtt_and_id() {
    let mut mesh = Mesh::of(6);
    for (exit, rtt_class) in [(1, 0), (2, 3), (3, 1), (4, 1), (5, 0)] {
        mesh.link(0, exit, 1, rtt_class);
    }
    mesh.flags(1).draining = true;
    let offer = |exit, metric| routes(exit, &[("10.0.0.0/8", metric)], &[]);
    let advs = [
        offer(1, 0),
        offer(2, 0),
        offer(3, 0),
        offer(4, 0),
        offer(5, 7),
    ];
    let candidates = table(&mesh, &advs).candidates_for_ip([10, 0, 0, 1].into());
    assert_eq!(exits(&candidates), [3, 4, 2, 5, 1].map(agent));
    let metrics: Vec<u32> = candidates.iter().map(|c| c.metric).collect();
    assert_eq!(metrics, [1, 1, 1, 8, 1]);
    assert_eq!(candidates[4].standing, Standing::Draining);
    assert_eq!(candidates[2].rtt_us(), 4);
}

#[test]
fn a_metric_saturates() {
    let mesh = Mesh::with_links(2, &[(0, 1)]);
    let advs = [routes(1, &[("10.0.0.0/8", u32::MAX)], &[])];
    let candidates = table(&mesh, &advs).candidates_for_ip([10, 0, 0, 1].into());
    assert_eq!(candidates[0].metric, u32::MAX);
}

#[test]
fn our_own_agent_is_an_exit_without_a_path() {
    let mesh = diamond();
    let advs = [
        routes(0, &[("10.0.0.0/8", 3)], &[]),
        routes(3, &[("10.0.0.0/8", 0)], &[]),
    ];
    let table = table(&mesh, &advs);
    let candidates = table.candidates_for_ip([10, 0, 0, 1].into());
    assert_eq!(exits(&candidates), [agent(3), agent(0)]);
    let own = &candidates[1];
    assert_eq!((own.metric, own.hops(), own.path.as_ref()), (3, 0, None));
    assert_eq!(table.counts().exits, 2);
    assert_eq!(table.counts().single_path, 0);
}

#[test]
fn the_most_specific_domain_with_a_live_exit_counts() {
    let advs = [
        routes(3, &[], &["*.corp.example"]),
        routes(4, &[], &["git.corp.example"]),
    ];
    let mut mesh = diamond();
    let live = table(&mesh, &advs);
    let candidates = live.candidates_for_domain("GIT.corp.example");
    assert_eq!(exits(&candidates), [agent(4)]);
    assert_eq!(candidates[0].domain.as_deref(), Some("git.corp.example"));
    assert_eq!(
        exits(&live.candidates_for_domain("a.b.corp.example")),
        [agent(3)]
    );
    assert_eq!(exits(&live.candidates_for_domain("example")), []);
    mesh.cut(1, 4);
    mesh.cut(2, 4);
    let fallen = table(&mesh, &advs).candidates_for_domain("git.corp.example");
    assert_eq!(fallen[0].domain.as_deref(), Some("*.corp.example"));
}

#[test]
fn exits_with_resolvers_are_asked_first_then_the_nearest() {
    let mut mesh = diamond();
    mesh.link(0, 3, 1, 1);
    let mut resolving = routes(4, &[("10.0.0.0/8", 900)], &[]);
    resolving.resolves = true;
    let advs = [
        routes(3, &[("10.0.0.0/8", 0)], &[]),
        routes(1, &[("10.0.0.0/8", 0)], &[]),
        routes(0, &[("10.0.0.0/8", 0)], &[]),
        resolving,
    ];
    let asked = table(&mesh, &advs).resolvers("a.example", &[]);
    assert_eq!(exits(&asked), [agent(4), agent(1), agent(3)]);
    assert_eq!(asked[0].metric, 2);
    let mut advs = advs;
    advs[2].resolves = true;
    assert_eq!(
        exits(&table(&mesh, &advs).resolvers("a.example", &[])),
        [agent(0), agent(4), agent(1), agent(3)],
        "our own resolvers, because the file names them"
    );
}

#[test]
fn names_are_asked_of_those_who_may_answer_for_them() {
    let mut mesh = diamond();
    mesh.link(0, 3, 1, 1);
    let mut advs: Vec<RouteAdv> = [1, 3, 4]
        .map(|exit| routes(exit, &[("10.0.0.0/8", 0)], &[]))
        .into();
    // It says that it resolves, and may not.
    advs[0].resolves = true;
    let grants = [
        "warren:route:10.0.0.0/8",
        "warren:resolve:*.corp.example",
        "",
    ];
    let grants = grants.map(|uri| Grants::from_uris([uri]).unwrap());
    let prefixes = PrefixTable::build_granted(
        advs.iter()
            .zip(&grants)
            .map(|(adv, grants)| (adv, grants.as_ref())),
    );
    let table = RouteTable::new(prefixes.into(), mesh.table(8).into());
    let asked = |name, named: &[AgentId]| exits(&table.resolvers(name, named));
    assert_eq!(
        asked("bank.example", &[]),
        [agent(4)],
        "the one without grants"
    );
    assert_eq!(asked("db.corp.example", &[]), [agent(3), agent(4)]);
    assert_eq!(asked("DB.corp.example.", &[]), [agent(3), agent(4)]);
    // The ingress's file has the last word.
    assert_eq!(asked("bank.example", &[agent(1)]), [agent(1)]);
    assert_eq!(asked("bank.example", &[agent(9)]), []);
}

#[test]
fn a_name_under_a_domain_route_is_owned_also_while_its_exit_is_out_of_reach() {
    let mesh = diamond();
    let advs = [routes(9, &[], &["*.corp.example", "api.example"])];
    let table = table(&mesh, &advs);
    assert_eq!(exits(&table.candidates_for_domain("db.corp.example")), []);
    for (name, owned) in [
        ("db.corp.example", true),
        ("api.example", true),
        ("corp.example", false),
        ("bank.example", false),
    ] {
        assert_eq!(table.is_owned(name), owned, "{name}");
    }
}

#[test]
fn an_exit_beyond_its_own_reach_is_not_used() {
    let mesh = diamond();
    let mut adv = routes(3, &[("10.0.0.0/8", 0)], &[]);
    adv.stamp.max_hops = 1;
    assert_eq!(for_ip(&table(&mesh, &[adv.clone()]), "10.0.0.1"), []);
    adv.stamp.max_hops = 2;
    assert_eq!(for_ip(&table(&mesh, &[adv]), "10.0.0.1"), [agent(3)]);
}

#[test]
fn counts_tell_what_is_usable_and_what_lost_its_redundancy() {
    let mut mesh = diamond();
    let advs = [
        routes(3, &[("10.0.0.0/8", 0), ("10.3.0.0/16", 0)], &["a.example"]),
        routes(4, &[("10.0.0.0/8", 0)], &[]),
        routes(9, &[("10.9.0.0/16", 0)], &["b.example"]),
    ];
    let counts = |mesh: &Mesh| table(mesh, &advs).counts();
    let expected = |prefixes, domains, single_path, exits| Counts {
        prefixes,
        domains,
        single_path,
        exits,
    };
    assert_eq!(counts(&mesh), expected(2, 1, 0, 2));
    mesh.cut(1, 3);
    assert_eq!(counts(&mesh), expected(2, 1, 2, 2));
    let single: Vec<String> = table(&mesh, &advs)
        .single_path()
        .map(|d| d.to_string())
        .collect();
    assert_eq!(single, ["10.3.0.0/16", "a.example"]);
    mesh.cut(0, 1);
    assert_eq!(counts(&mesh), expected(2, 1, 3, 2));
    mesh.cut(0, 2);
    assert_eq!(counts(&mesh), expected(0, 0, 0, 0));
}

#[test]
fn routes_list_every_live_exit_of_every_destination() {
    let advs = [
        routes(3, &[("10.0.0.0/8", 0)], &["a.example"]),
        routes(4, &[("10.0.0.0/8", 1), ("fd00::/8", 0)], &[]),
        routes(9, &[("10.0.0.0/8", 0)], &[]),
    ];
    let table = table(&diamond(), &advs);
    let shown: Vec<(String, AgentId, u32)> = table
        .routes()
        .map(|c| {
            let prefix = c.prefix.map(|prefix| prefix.to_string());
            (prefix.or(c.domain).unwrap(), c.exit, c.metric)
        })
        .collect();
    let expected = [
        ("10.0.0.0/8", 3, 2),
        ("10.0.0.0/8", 4, 3),
        ("fd00::/8", 4, 2),
        ("a.example", 3, 2),
    ];
    assert_eq!(
        shown,
        expected.map(|(to, exit, metric)| (to.to_owned(), agent(exit), metric))
    );
}

#[test]
fn either_half_is_replaced_without_the_other() {
    let advs = [routes(3, &[("10.0.0.0/8", 0)], &[])];
    let mut mesh = diamond();
    let before = table(&mesh, &advs);
    mesh.cut(1, 3);
    let paths = Arc::new(mesh.table(8));
    let after = RouteTable::new(before.prefix_table().clone(), paths);
    assert!(Arc::ptr_eq(before.prefix_table(), after.prefix_table()));
    let path = |table: &RouteTable| numbers(&table.paths(agent(3)).unwrap().best);
    assert_eq!((path(&before), path(&after)), (vec![1, 3], vec![2, 3]));
    let none = RouteTable::new(Arc::default(), after.path_table().clone());
    assert_eq!(for_ip(&none, "10.0.0.1"), []);
}

#[test]
fn a_lookup_is_bounded() {
    let count = MAX_CANDIDATES as u32 + 20;
    let mut mesh = Mesh::of(count);
    let mut advs = Vec::new();
    for exit in 1..count {
        mesh.link(0, exit, 1, 0);
        advs.push(routes(exit, &[("0.0.0.0/0", 0)], &[]));
    }
    let table = table(&mesh, &advs);
    assert_eq!(for_ip(&table, "192.0.2.1").len(), MAX_CANDIDATES);
    assert_eq!(table.resolvers("a.example", &[]).len(), MAX_CANDIDATES);
}

/// Exit, which /8 to /11 prefix of 10.0.0.0, and base metric.
type Offer = (u32, u8, u32);

proptest! {
    #[test]
    fn candidates_are_what_a_linear_scan_over_all_ways_finds(
        mesh in any_mesh(),
        offers in prop::collection::vec((0_u32..7, 8_u8..12, 0_u32..4), 0..12),
        host in 0_u8..=255,
    ) {
        let advs: Vec<RouteAdv> = offers.iter().map(|&(exit, length, metric): &Offer| {
            let mut adv = routes(exit, &[], &[]);
            let prefix = IpNet::new([10, 0, 0, 0].into(), length).unwrap();
            adv.prefixes.push(RoutePrefix { prefix, metric });
            adv
        }).collect();
        let ip = IpAddr::from([10, host, 0, 1]);
        let table = table(&mesh, &advs);
        let found = table.candidates_for_ip(ip);

        let mut scanned = Vec::new();
        for adv in &advs {
            let route = &adv.prefixes[0];
            let exit = u128::from_be_bytes(adv.stamp.origin.0) as u32;
            let way = if exit == 0 {
                Some((0, 0, 0))
            } else if exit < mesh.advs.len() as u32 {
                let best = all_ways(&mesh, exit, 8).into_iter().min_by_key(|way| way.key());
                best.map(|way| (way.draining.min(1), way.cost, way.rtt_us))
            } else {
                None
            };
            if let (true, Some((draining, cost, rtt_us))) = (route.prefix.contains(&ip), way) {
                let length = route.prefix.prefix_len();
                scanned.push((length, draining, route.metric + cost, rtt_us, agent(exit)));
            }
        }
        let longest = scanned.iter().map(|found| found.0).max();
        scanned.retain(|found| Some(found.0) == longest);
        scanned.sort();
        let mut expected: Vec<(AgentId, u32)> = Vec::new();
        for (_, _, metric, _, exit) in scanned {
            if expected.iter().all(|known| known.0 != exit) {
                expected.push((exit, metric));
            }
        }
        let found: Vec<(AgentId, u32)> = found.iter().map(|c| (c.exit, c.metric)).collect();
        prop_assert_eq!(found, expected);
    }

    /// What `/ready` goes by. Exits that only resolve names, are out of reach or too far away, or
    /// lost all their routes, count for nothing.
    #[test]
    fn a_destination_is_counted_exactly_if_a_request_for_it_has_an_exit(
        mesh in any_mesh(),
        offers in prop::collection::vec(
            (0_u32..9, any::<bool>(), prop::option::of(8_u8..12), prop::option::of(0_u8..4)),
            0..8,
        ),
    ) {
        let advs: Vec<RouteAdv> = offers.iter().map(|&(exit, resolves, length, near)| {
            let mut adv = routes(exit, &[], &[]);
            adv.resolves = resolves;
            adv.stamp.max_hops = near.unwrap_or(15);
            if let Some(length) = length {
                let prefix = IpNet::new([10, 0, 0, 0].into(), length).unwrap();
                adv.prefixes.push(RoutePrefix { prefix, metric: 0 });
                adv.domains.push(format!("*.d{length}.example"));
            }
            adv
        }).collect();
        let table = table(&mesh, &advs);
        let answered: BTreeSet<IpNet> = advs
            .iter()
            .flat_map(|adv| adv.prefixes.iter().map(|route| route.prefix))
            .filter(|prefix| {
                // An address that no longer prefix of the list contains.
                let found = table.candidates_for_ip(prefix.broadcast());
                found.iter().any(|candidate| candidate.prefix == Some(*prefix))
            })
            .collect();
        let named: BTreeSet<u8> = (8..12)
            .filter(|n| !table.candidates_for_domain(&format!("a.d{n}.example")).is_empty())
            .collect();
        prop_assert_eq!(table.counts().domains, named.len());
        prop_assert_eq!(table.counts().prefixes, answered.len());
        prop_assert_eq!(table.counts().destinations(), answered.len() + named.len());
    }
}

use super::*;
use crate::routing::fixture::{Mesh, agent};

#[test]
fn an_edge_needs_both_ends_and_takes_the_worse_of_both_claims() {
    let mut mesh = Mesh::of(3);
    mesh.claim(0, 1, 0, 3, 0);
    mesh.claim(1, 0, 7, 2, 1_350);
    mesh.claim(1, 2, 1, 0, 1_400);
    let graph = mesh.graph();
    let links: Vec<GraphLink> = graph.links().collect();
    let both = GraphLink {
        a: agent(0),
        b: agent(1),
        cost: 7,
        rtt_us: 4,
        mtu: 1_350,
        both_ways: true,
    };
    let one_way = GraphLink {
        a: agent(1),
        b: agent(2),
        cost: 1,
        rtt_us: 0,
        mtu: 1_400,
        both_ways: false,
    };
    assert_eq!(links, [both, one_way]);
    assert_eq!(graph.link_count(), 1);
}

#[test]
fn a_cost_of_zero_counts_as_one() {
    let mut mesh = Mesh::of(2);
    mesh.link(0, 1, 0, 0);
    assert_eq!(mesh.graph().links().next().map(|link| link.cost), Some(1));
}

#[test]
fn of_repeated_claims_the_dearest_counts() {
    let mut mesh = Mesh::of(2);
    mesh.claim(0, 1, 2, 0, 0);
    mesh.claim(0, 1, 9, 0, 0);
    mesh.claim(0, 1, 4, 0, 0);
    mesh.claim(1, 0, 1, 0, 0);
    let costs: Vec<u32> = mesh.graph().links().map(|link| link.cost).collect();
    assert_eq!(costs, [9]);
}

#[test]
fn a_link_to_oneself_is_ignored_and_one_to_a_stranger_is_one_way() {
    let mut mesh = Mesh::of(2);
    mesh.claim(1, 1, 1, 0, 0);
    mesh.claim(1, 7, 1, 0, 0);
    let graph = mesh.graph();
    let links: Vec<(AgentId, AgentId, bool)> =
        graph.links().map(|l| (l.a, l.b, l.both_ways)).collect();
    assert_eq!(links, [(agent(1), agent(7), false)]);
}

#[test]
fn our_own_agent_is_there_before_anybody_advertised() {
    let graph = Graph::build(agent(5), std::iter::empty());
    assert_eq!(graph.own(), agent(5));
    assert_eq!(graph.agents().len(), 1);
    assert_eq!(graph.links().count(), 0);
}

#[test]
fn the_first_of_two_advertisements_of_one_origin_counts() {
    let first = Mesh::with_links(2, &[(0, 1)]);
    let second = Mesh::of(2);
    let advs = first.advs.iter().chain(&second.advs);
    assert_eq!(Graph::build(agent(0), advs).link_count(), 1);
}

#[test]
fn an_agent_is_shown_as_it_advertises_itself() {
    let mut mesh = Mesh::of(2);
    mesh.flags(1).draining = true;
    let graph = mesh.graph();
    let shown = graph.agent(agent(1)).unwrap();
    assert_eq!(shown.display_name, "agent-1");
    assert!(shown.flags.draining);
    assert_eq!(graph.agent(agent(9)), None);
}

#[test]
fn a_link_that_claims_less_than_quic_needs_is_none_and_others_keep_theirs() {
    for (absurd, usable) in [(1, 1), (1_199, 1), (1_200, 2), (u16::MAX, 2), (0, 2)] {
        let mut mesh = Mesh::of(3);
        mesh.claim(0, 1, 1, 0, 1_452);
        mesh.claim(1, 0, 1, 0, 1_452);
        mesh.claim(1, 2, 1, 0, 1_452);
        mesh.claim(2, 1, 1, 0, absurd);
        let graph = mesh.graph();
        assert_eq!(graph.link_count(), usable, "{absurd}");
        let first = graph.links().next().unwrap();
        assert_eq!(first.mtu, 1_452, "{absurd}");
    }
}

#[test]
fn an_agent_between_two_parts_is_their_sole_way_unless_it_relays_for_nobody() {
    let chain = Mesh::with_links(3, &[(0, 1), (0, 2)]);
    assert!(chain.graph().is_sole_way());
    let triangle = Mesh::with_links(3, &[(0, 1), (0, 2), (1, 2)]);
    assert!(!triangle.graph().is_sole_way());
    assert!(!Mesh::with_links(2, &[(0, 1)]).graph().is_sole_way());
    assert!(!Mesh::of(1).graph().is_sole_way());
    // Round the other way there is an agent that relays for nobody.
    let mut ring = Mesh::with_links(4, &[(0, 1), (0, 2), (1, 3), (3, 2)]);
    assert!(!ring.graph().is_sole_way());
    ring.flags(3).no_transit = true;
    assert!(ring.graph().is_sole_way());
    ring.flags(0).no_transit = true;
    assert!(!ring.graph().is_sole_way());
}

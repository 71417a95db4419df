use proptest::prelude::*;

use super::super::path_table::PathTable;
use super::*;
use crate::routing::fixture::{Mesh, agent, all_ways, any_mesh};

fn hangs(table: &PathTable, exits: &[u32]) -> bool {
    let graph = table.graph();
    let nodes: Vec<Node> = exits
        .iter()
        .filter_map(|&exit| graph.node(agent(exit)))
        .collect();
    table.hangs_by_one(&nodes)
}

#[test]
fn two_transits_are_two_ways_and_one_is_not() {
    let mut mesh = Mesh::with_links(4, &[(0, 1), (1, 3), (0, 2), (2, 3)]);
    assert!(!hangs(&mesh.table(8), &[3]));
    mesh.cut(2, 3);
    assert!(hangs(&mesh.table(8), &[3]));
}

#[test]
fn a_lone_direct_link_is_one_way() {
    let mut mesh = Mesh::with_links(3, &[(0, 1)]);
    assert!(hangs(&mesh.table(8), &[1]));
    mesh.link(0, 2, 1, 0);
    mesh.link(2, 1, 1, 0);
    assert!(!hangs(&mesh.table(8), &[1]));
}

#[test]
fn a_neighbour_that_only_the_exit_leads_to_is_no_second_way() {
    let mesh = Mesh::with_links(3, &[(0, 1), (1, 2)]);
    assert!(hangs(&mesh.table(8), &[1]));
}

#[test]
fn two_exits_behind_one_transit_hang_by_it() {
    let mesh = Mesh::with_links(4, &[(0, 1), (1, 2), (1, 3)]);
    assert!(hangs(&mesh.table(8), &[2, 3]));
}

#[test]
fn two_exits_behind_two_transits_do_not() {
    let mesh = Mesh::with_links(5, &[(0, 1), (1, 3), (0, 2), (2, 4)]);
    let table = mesh.table(8);
    assert!(hangs(&table, &[3]));
    assert!(hangs(&table, &[4]));
    assert!(!hangs(&table, &[3, 4]));
}

#[test]
fn an_agent_that_relays_for_nobody_is_no_second_way() {
    let mut mesh = Mesh::with_links(4, &[(0, 1), (1, 3), (0, 2), (2, 3)]);
    mesh.flags(2).no_transit = true;
    assert!(hangs(&mesh.table(8), &[3]));
}

proptest! {
    /// Without a binding hop limit an exit hangs by one exactly if some agent or link is part of
    /// every way.
    #[test]
    fn single_points_of_failure_are_what_trying_all_ways_finds(mesh in any_mesh()) {
        let mut mesh = mesh;
        for adv in &mut mesh.advs {
            adv.stamp.max_hops = 15;
        }
        let table = mesh.table(15);
        for exit in 1..mesh.advs.len() as u32 {
            let ways = all_ways(&mesh, exit, 15);
            if ways.is_empty() {
                continue;
            }
            let by_agent = (1..mesh.advs.len() as u32)
                .any(|agent| ways.iter().all(|way| way.interior().contains(&agent)));
            let by_link = ways[0].links().iter().any(|link| {
                ways.iter().all(|way| way.links().contains(link))
            });
            prop_assert_eq!(hangs(&table, &[exit]), by_agent || by_link, "agent {}", exit);
        }
    }
}

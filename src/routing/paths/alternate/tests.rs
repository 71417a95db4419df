use proptest::prelude::*;

use super::super::avoid::Avoid;
use crate::routing::fixture::{Mesh, Way, agent, all_ways, any_mesh, numbers};

fn alternate(mesh: &Mesh, exit: u32) -> Option<Vec<u32>> {
    let path = mesh.table(8).alternate(agent(exit))?;
    Some(numbers(&path))
}

#[test]
fn the_alternate_shares_no_agent_if_it_can_even_when_dearer() {
    let links = [(0, 1), (1, 5), (1, 2), (2, 5), (0, 3), (3, 4), (4, 5)];
    let mesh = Mesh::with_links(6, &links);
    assert_eq!(alternate(&mesh, 5), Some(vec![3, 4, 5]));
}

#[test]
fn a_shared_agent_is_better_than_no_alternate() {
    let mesh = Mesh::with_links(5, &[(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)]);
    assert_eq!(alternate(&mesh, 4), Some(vec![1, 3, 4]));
}

#[test]
fn a_direct_link_has_an_alternate_around_it() {
    let mesh = Mesh::with_links(3, &[(0, 2), (0, 1), (1, 2)]);
    assert_eq!(alternate(&mesh, 2), Some(vec![1, 2]));
}

#[test]
fn one_shared_agent_is_better_than_two_whatever_links_are_shared() {
    let mut mesh = Mesh::with_links(11, &[(0, 1), (1, 2), (2, 10)]);
    for (a, b) in [(0, 3), (3, 1), (1, 4), (4, 2), (2, 5), (5, 10)] {
        mesh.link(a, b, 1, 0);
    }
    for (a, b) in [(1, 6), (6, 7), (7, 8), (8, 9), (9, 10)] {
        mesh.link(a, b, 50, 0);
    }
    let path = mesh.table(6).alternate(agent(10)).unwrap();
    assert_eq!(numbers(&path), [1, 6, 7, 8, 9, 10]);
}

#[test]
fn the_only_way_has_no_alternate() {
    let mesh = Mesh::with_links(3, &[(0, 1), (1, 2)]);
    assert_eq!(alternate(&mesh, 2), None);
    assert_eq!(alternate(&mesh, 9), None, "unknown exit");
    assert_eq!(alternate(&mesh, 0), None, "our own agent");
}

#[test]
fn an_alternate_over_a_suspect_is_better_than_none() {
    let mesh = Mesh::with_links(4, &[(0, 1), (1, 3), (0, 2), (2, 3)]);
    let mut avoid = Avoid::default();
    avoid.insert_link(agent(0), agent(2));
    let paths = mesh.table_avoiding(8, avoid).paths(agent(3)).unwrap();
    assert_eq!(numbers(&paths.best), [1, 3]);
    assert_eq!(paths.alternate.as_ref().map(numbers), Some(vec![2, 3]));
}

#[test]
fn a_dead_path_still_has_a_most_disjoint_one() {
    let mut mesh = Mesh::with_links(4, &[(0, 1), (1, 3), (0, 2), (2, 3)]);
    let dead = mesh.table(8).best(agent(3)).unwrap();
    mesh.cut(1, 3);
    let found = mesh.table(8).disjoint_from(&dead).unwrap();
    assert_eq!(numbers(&found), [2, 3]);
}

/// What alternates to `best` are compared by.
type Disjointness = (usize, usize, (usize, u32, u64, usize, Vec<u32>));

fn disjointness(way: &Way, best: &Way) -> Disjointness {
    let agents = way.interior().intersection(&best.interior()).count();
    let links = way.links().intersection(&best.links()).count();
    (agents, links, way.key())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn alternates_are_what_trying_all_ways_finds(mesh in any_mesh(), max_hops in 1_u8..=7) {
        let table = mesh.table(max_hops);
        for exit in 1..mesh.advs.len() as u32 {
            let ways = all_ways(&mesh, exit, usize::from(max_hops));
            let Some(best) = ways.iter().min_by_key(|way| way.key()) else {
                prop_assert_eq!(table.paths(agent(exit)), None);
                continue;
            };
            let others = ways.iter().filter(|way| *way != best);
            let expected = others.min_by_key(|way| disjointness(way, best));
            let found = table.alternate(agent(exit));
            prop_assert_eq!(
                found.as_ref().map(numbers),
                expected.map(|way| way.hops.clone()),
                "to agent {}", exit
            );
            prop_assert!(found.is_none_or(|path| table.is_live(&path)));
        }
    }
}

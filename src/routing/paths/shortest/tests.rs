use proptest::prelude::*;

use super::*;
use crate::routing::fixture::{Mesh, agent, all_ways, any_mesh, numbers};

fn best(mesh: &Mesh, exit: u32, max_hops: u8) -> Option<Vec<u32>> {
    let path = mesh.table(max_hops).best(agent(exit))?;
    Some(numbers(&path))
}

#[test]
fn the_cheapest_path_wins_even_with_more_hops() {
    let mut mesh = Mesh::of(4);
    mesh.link(0, 3, 5, 0);
    mesh.link(0, 1, 1, 0);
    mesh.link(1, 2, 1, 0);
    mesh.link(2, 3, 1, 0);
    let path = mesh.table(8).best(agent(3)).unwrap();
    assert_eq!((numbers(&path), path.cost), (vec![1, 2, 3], 3));
}

#[test]
fn a_dearer_path_is_used_where_the_cheapest_is_too_long() {
    let mut mesh = Mesh::of(5);
    for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 4)] {
        mesh.link(a, b, 1, 0);
    }
    mesh.link(0, 2, 9, 0);
    assert_eq!(best(&mesh, 4, 4), Some(vec![1, 2, 3, 4]));
    assert_eq!(best(&mesh, 4, 3), Some(vec![2, 3, 4]));
    assert_eq!(best(&mesh, 4, 2), None);
}

#[test]
fn equal_costs_break_by_round_trip_then_hops_then_ids() {
    let mut mesh = Mesh::of(6);
    for middle in [1, 2, 3] {
        mesh.link(0, middle, 1, if middle == 3 { 2 } else { 4 });
        mesh.link(middle, 5, 1, 2);
    }
    assert_eq!(best(&mesh, 5, 8), Some(vec![3, 5]), "round trip");
    mesh.cut(0, 3);
    assert_eq!(best(&mesh, 5, 8), Some(vec![1, 5]), "ids");
    mesh.link(0, 5, 2, 0);
    assert_eq!(best(&mesh, 5, 8), Some(vec![5]), "round trip again");
}

#[test]
fn equal_weights_prefer_fewer_hops() {
    let mut mesh = Mesh::of(4);
    mesh.link(0, 1, 1, 1);
    mesh.link(1, 2, 1, 0);
    mesh.link(2, 3, 1, 1);
    mesh.link(1, 3, 2, 1);
    assert_eq!(best(&mesh, 3, 8), Some(vec![1, 3]));
}

#[test]
fn ids_decide_by_the_whole_path_even_where_a_dearer_way_was_found_first() {
    let mut mesh = Mesh::of(6);
    for (a, b, cost) in [
        (0, 1, 1),
        (0, 2, 1),
        (1, 3, 5),
        (2, 3, 1),
        (1, 4, 1),
        (3, 5, 1),
        (4, 5, 1),
    ] {
        mesh.link(a, b, cost, 0);
    }
    assert_eq!(best(&mesh, 5, 8), Some(vec![1, 4, 5]), "not 2, 3, 5");
}

#[test]
fn sums_of_the_greatest_costs_saturate() {
    let mut mesh = Mesh::of(16);
    for number in 1..16 {
        mesh.link(number - 1, number, u32::MAX, 255);
    }
    let path = mesh.table(15).best(agent(15)).unwrap();
    assert_eq!(path.cost, u32::MAX);
    assert_eq!(path.rtt_us, 15 * u64::from(u32::MAX));
    assert_eq!(path.hops.len(), 15);
}

#[test]
fn a_path_has_the_smallest_known_mtu() {
    let mut mesh = Mesh::of(4);
    for (a, b, mtu) in [(0, 1, 0), (1, 2, 1_400), (2, 3, 1_300)] {
        mesh.claim(a, b, 1, 0, mtu);
        mesh.claim(b, a, 1, 0, 0);
    }
    let table = mesh.table(8);
    let mtu = |exit| table.best(agent(exit)).unwrap().mtu;
    assert_eq!([mtu(1), mtu(2), mtu(3)], [0, 1_400, 1_300]);
}

#[test]
fn an_agent_that_relays_for_nobody_is_reached_but_not_passed() {
    let mut mesh = Mesh::with_links(3, &[(0, 1), (1, 2)]);
    mesh.flags(1).no_transit = true;
    assert_eq!(best(&mesh, 1, 8), Some(vec![1]));
    assert_eq!(best(&mesh, 2, 8), None);
    mesh.flags(1).no_transit = false;
    mesh.flags(0).no_transit = true;
    assert_eq!(
        best(&mesh, 2, 8),
        Some(vec![1, 2]),
        "our own paths start here"
    );
}

#[test]
fn a_draining_agent_is_the_last_resort_and_does_not_show_in_the_cost() {
    let mut mesh = Mesh::with_links(5, &[(0, 1), (1, 4), (0, 2), (2, 3), (3, 4)]);
    mesh.flags(1).draining = true;
    assert_eq!(best(&mesh, 4, 8), Some(vec![2, 3, 4]));
    mesh.cut(2, 3);
    let table = mesh.table(8);
    let path = table.best(agent(4)).unwrap();
    assert_eq!((numbers(&path), path.cost), (vec![1, 4], 2));
    assert_eq!(table.assess(&path).unwrap().1, Standing::Draining);
}

#[test]
fn suspects_are_avoided_while_there_is_another_way() {
    let mesh = Mesh::with_links(4, &[(0, 1), (1, 3), (0, 2), (2, 3)]);
    let path = |avoid: &Avoid| {
        let table = mesh.table_avoiding(8, avoid.clone());
        let path = table.best(agent(3)).unwrap();
        (numbers(&path), table.assess(&path).unwrap().1)
    };
    let mut avoid = Avoid::default();
    assert_eq!(path(&avoid), (vec![1, 3], Standing::Sound));
    avoid.insert_link(agent(1), agent(0));
    assert_eq!(path(&avoid), (vec![2, 3], Standing::Sound));
    avoid.insert_agent(agent(2));
    assert_eq!(path(&avoid), (vec![1, 3], Standing::Suspect));
    avoid.insert_link(agent(7), agent(9));
    assert_eq!(path(&avoid), (vec![1, 3], Standing::Suspect));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn best_paths_are_what_trying_all_ways_finds(mesh in any_mesh(), max_hops in 1_u8..=7) {
        let table = mesh.table(max_hops);
        for exit in 1..mesh.advs.len() as u32 {
            let ways = all_ways(&mesh, exit, usize::from(max_hops));
            let expected = ways.into_iter().min_by_key(|way| way.key());
            let found = table.best(agent(exit));
            prop_assert_eq!(
                found.as_ref().map(|path| (numbers(path), path.cost, path.rtt_us)),
                expected.map(|way| (way.hops, way.cost, way.rtt_us)),
                "to agent {}", exit
            );
            if let Some(path) = found {
                prop_assert!(table.is_live(&path));
                let (today, standing) = table.assess(&path).unwrap();
                prop_assert_eq!(&today, &path);
                prop_assert!(standing != Standing::Suspect);
            }
        }
    }

    #[test]
    fn avoiding_anything_loses_no_exit(mesh in any_mesh(), suspects in prop::collection::vec((0_u32..7, 0_u32..7), 0..5)) {
        let mut avoid = Avoid::default();
        for (a, b) in suspects {
            avoid.insert_link(agent(a), agent(b));
        }
        let plain = mesh.table(5);
        let careful = mesh.table_avoiding(5, avoid);
        for exit in 1..mesh.advs.len() as u32 {
            let exit = agent(exit);
            prop_assert_eq!(plain.is_reachable(exit), careful.is_reachable(exit));
        }
    }
}

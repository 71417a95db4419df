use super::*;
use crate::routing::fixture::{Mesh, agent};

#[test]
fn a_path_dies_with_any_of_its_links_or_its_leave_to_pass() {
    let mut mesh = Mesh::with_links(4, &[(0, 1), (1, 2), (2, 3)]);
    let path = mesh.table(8).best(agent(3)).unwrap();
    assert!(mesh.table(8).is_live(&path));
    assert!(!mesh.table(2).is_live(&path), "too long now");
    for (a, b) in [(0, 1), (1, 2), (2, 3)] {
        let mut without = mesh.clone();
        without.cut(a, b);
        assert!(!without.table(8).is_live(&path), "{a}-{b} is gone");
    }
    mesh.flags(2).no_transit = true;
    assert!(!mesh.table(8).is_live(&path), "agent 2 relays no more");
    mesh.flags(2).no_transit = false;
    mesh.flags(3).no_transit = true;
    assert!(mesh.table(8).is_live(&path), "the exit need not relay");
}

#[test]
fn a_path_is_assessed_by_todays_figures() {
    let mut mesh = Mesh::with_links(3, &[(0, 1), (1, 2)]);
    let path = mesh.table(8).best(agent(2)).unwrap();
    mesh.cut(1, 2);
    mesh.link(1, 2, 40, 5);
    let (today, standing) = mesh.table(8).assess(&path).unwrap();
    assert_eq!((today.cost, today.rtt_us), (41, 17));
    assert_eq!(standing, Standing::Sound);
}

#[test]
fn our_own_agent_and_strangers_have_no_paths() {
    let mesh = Mesh::with_links(2, &[(0, 1)]);
    let table = mesh.table(8);
    for exit in [0, 9] {
        assert_eq!(table.paths(agent(exit)), None);
        assert!(!table.is_reachable(agent(exit)));
    }
    assert!(table.is_reachable(agent(1)));
}

#[test]
fn distance_ignores_the_hop_limit_but_not_the_leave_to_pass() {
    let mut mesh = Mesh::with_links(5, &[(0, 1), (1, 2), (2, 3)]);
    mesh.flags(3).no_transit = true;
    mesh.link(3, 4, 1, 0);
    let table = mesh.table(1);
    let distances = [0, 1, 3, 4].map(|number| table.fewest_hops(agent(number)));
    assert_eq!(distances, [Some(0), Some(1), Some(3), None]);
    assert!(!table.is_reachable(agent(3)));
}

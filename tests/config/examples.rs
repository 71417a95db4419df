//! `configs/`: the files users start from.

use std::collections::BTreeSet;

use warren::config::Config;

use crate::support::{load_copy, project, yaml_files};

fn load(path: &str) -> Config {
    load_copy(&project("configs").join(path))
}

#[test]
fn every_example_loads() {
    let files = yaml_files(&project("configs"));
    assert!(files.len() >= 15, "3 roles and the agents of 4 patterns");
    let mut data_dirs_and_names = BTreeSet::new();
    for file in files {
        let config = load_copy(&file);
        let name = config.agent.display_name.expect("an example has a name");
        let folder = file.parent().expect("a file has a folder").to_owned();
        assert!(
            data_dirs_and_names.insert((folder, name)),
            "{}",
            file.display()
        );
    }
}

#[test]
fn the_roles_are_what_they_are_called() {
    let (ingress, transit, exit) = (
        load("ingress.yaml"),
        load("transit.yaml"),
        load("exit.yaml"),
    );
    assert!(ingress.socks5.is_some() && ingress.exit.is_none());
    assert!(transit.socks5.is_none() && transit.exit.is_none() && !transit.listeners.is_empty());
    assert!(exit.exit.is_some() && exit.socks5.is_none());
}

#[test]
fn redundant_transit_gives_the_ingress_two_ways_to_the_exit() {
    let ingress = load("high-availability/redundant-transit/ingress.yaml");
    let exit = load("high-availability/redundant-transit/exit.yaml");
    assert_eq!(ingress.peers.len(), 2);
    for transit in ["transit-primary", "transit-backup"] {
        let transit = load(&format!(
            "high-availability/redundant-transit/{transit}.yaml"
        ));
        assert_eq!(transit.peers.len(), 1, "each transit dials the exit");
        assert!(!transit.listeners.is_empty());
    }
    assert!(exit.exit.is_some() && !exit.listeners.is_empty());
}

#[test]
fn multiple_exits_advertise_the_same_routes() {
    let folder = "high-availability/multiple-exits";
    let routes = |name: &str| {
        let exit = load(&format!("{folder}/{name}.yaml")).exit;
        exit.expect("it is an exit").routes
    };
    assert_eq!(routes("exit-a"), routes("exit-b"));
    assert_eq!(load(&format!("{folder}/ingress.yaml")).peers.len(), 2);
}

#[test]
fn geographic_regions_have_two_exits_each_and_know_each_other() {
    let folder = "high-availability/geographic";
    for (agent, exits, peers) in [
        ("agent-a1", ["exit-a", "exit-a2"], 3),
        ("agent-b1", ["exit-b", "exit-b2"], 2),
    ] {
        let agent = load(&format!("{folder}/{agent}.yaml"));
        assert_eq!(agent.peers.len(), peers);
        assert!(!agent.listeners.is_empty());
        for exit in exits {
            assert!(load(&format!("{folder}/{exit}.yaml")).exit.is_some());
        }
    }
    let a1 = load(&format!("{folder}/agent-a1.yaml"));
    let costs: Vec<u32> = a1.peers.iter().map(|peer| peer.cost).collect();
    assert_eq!(costs, [1, 1, 10], "the other region is the dearest way");
}

#[test]
fn active_active_ingresses_differ_in_name_only_and_haproxy_asks_their_health() {
    let folder = "high-availability/active-active";
    let ingresses = ["ingress-1", "ingress-2"].map(|name| load(&format!("{folder}/{name}.yaml")));
    for ingress in &ingresses {
        let socks5 = ingress.socks5.as_ref().expect("it is an ingress");
        assert!(
            !socks5.address.ip().is_loopback(),
            "the balancer is another host"
        );
    }
    let peers = |config: &Config| format!("{:?}", config.peers);
    assert_eq!(peers(&ingresses[0]), peers(&ingresses[1]));
    let haproxy = std::fs::read_to_string(project("configs").join(folder).join("haproxy.cfg"))
        .expect("it is part of the pattern");
    for needed in ["option httpchk", "/healthz", "check port 8080"] {
        assert!(haproxy.contains(needed), "{needed}");
    }
}

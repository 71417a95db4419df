//! An agent that stands still for a while comes back by itself.

use std::time::Duration;

use crate::support::diamond::{self, DEST, FIRST, SECOND};
use crate::support::traffic::{Download, Echo, MIB, fetch};
use crate::support::wait::{eventually, within};
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// Two transits, of which the first and its neighbours dial each other.
fn mesh() -> Mesh {
    let mut mesh = Mesh::new();
    for spec in [
        Spec::new("exit").listen().exit(LOOPBACK).peer("first"),
        Spec::new("first").listen().peer("exit").peer("ingress"),
        Spec::new("second").listen().peer("exit"),
        Spec::new("ingress")
            .listen()
            .socks5()
            .peer("first")
            .peer_at("second", 2),
    ] {
        mesh.add(spec);
    }
    ["exit", "first", "second", "ingress"]
        .iter()
        .for_each(|name| mesh.start(name));
    diamond::await_both_ways(&mesh);
    mesh
}

#[test]
fn a_paused_transit_is_linked_and_used_again() {
    let mut mesh = mesh();
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut echo = Echo::open(socks, target.address());
    let mut download = Download::start(socks, target.address(), 16 * MIB);
    for round in 1..=2 {
        download.read_to(round * 4 * MIB);
        mesh.process("first").signal("STOP");
        // Traffic flows on while the others find out, and after.
        echo.round(1000);
        mesh.await_chosen("ingress", DEST, SECOND);
        mesh.await_peers("exit", 1);
        fetch(socks, target.address());

        mesh.process("first").signal("CONT");
        mesh.await_chosen("ingress", DEST, FIRST);
        for name in ["first", "exit", "ingress"] {
            mesh.await_peers(name, 2);
        }
        // Its packets carry the new links' tokens: nobody would forward them with the old ones.
        let before = mesh.metric("first", "warren_forwarded_packets_total");
        eventually("the paused transit forwards again", || {
            fetch(socks, target.address());
            Download::start(socks, target.address(), MIB).finish();
            let now = mesh.metric("first", "warren_forwarded_packets_total");
            (now > before + 500.0).then_some(())
        });
        echo.round(1000);
    }
    download.finish();
    echo.finish();
    for name in ["first", "exit", "second", "ingress"] {
        assert!(mesh.process(name).is_running());
        let log = mesh.process(name).log();
        assert!(!log.contains("panicked"), "{name} panicked");
        let starts = log.lines().filter(|line| line.contains("agent started"));
        assert_eq!(starts.count(), 1, "{name} did not start again");
    }
}

/// By the fourth time links that flapped would be held for 8 s.
#[test]
fn an_ingress_that_stood_still_again_and_again_has_both_ways_back_at_once() {
    let mut mesh = mesh();
    let target = Target::start();
    let socks = mesh.socks("ingress");
    for _ in 0..4 {
        mesh.process("ingress").signal("STOP");
        for name in ["first", "second"] {
            mesh.await_peers(name, 1);
        }
        mesh.process("ingress").signal("CONT");
        // Asked before the ingress knows what it lost: it waits instead of being refused.
        fetch(socks, target.address());
        within(Duration::from_secs(6), "both ways are back", || {
            let known = mesh.routes_with_alternate("ingress");
            (known == 1).then_some(())
        });
    }
    mesh.await_log("ingress", &["stood still"]);
}

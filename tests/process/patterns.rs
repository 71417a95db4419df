//! The four High Availability patterns, each as a mesh in which the redundant part dies.

use crate::support::diamond::{self, DEST};
use crate::support::traffic::{Download, MIB, fetch, try_fetch, upload};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

#[test]
fn redundant_transit() {
    let mut mesh = diamond::start();
    let target = Target::start();
    mesh.await_ready("ingress");
    Download::start(mesh.socks("ingress"), target.address(), 4 * MIB).finish();
    upload(mesh.socks("ingress"), target.address(), 4 * MIB);

    // Either transit alone is enough.
    for (dies, stays) in [("first", "second"), ("second", "first")] {
        mesh.kill(dies);
        mesh.await_chosen("ingress", DEST, &[stays, "exit"]);
        fetch(mesh.socks("ingress"), target.address());
        mesh.start(dies);
        // Until its neighbours notice, they hold links with the process that is gone.
        mesh.await_peers(dies, 2);
        diamond::await_both_ways(&mesh);
    }
}

#[test]
fn multiple_exits_with_one_prefix() {
    let mut mesh = Mesh::start_all([
        Spec::new("east").listen().exit(LOOPBACK),
        Spec::new("west").listen().exit(LOOPBACK),
        Spec::new("ingress")
            .socks5()
            .peer("east")
            .peer_at("west", 2),
    ]);
    let target = Target::start();
    let socks = mesh.socks("ingress");
    mesh.await_chosen("ingress", DEST, &["east"]);
    mesh.await_paths("ingress", DEST, &[&["east"], &["west"]]);
    let mut download = Download::start(socks, target.address(), 4 * MIB);
    download.read_to(MIB);

    mesh.kill("west");
    download.finish();
    // Or the ingress would still trust the link to the old process when the east dies.
    mesh.await_peers("ingress", 1);
    mesh.start("west");
    mesh.await_peers("ingress", 2);
    mesh.await_paths("ingress", DEST, &[&["east"], &["west"]]);

    // A connection is retried inside the SOCKS request, so not even the first one fails.
    mesh.kill("east");
    fetch(socks, target.address());
    mesh.await_chosen("ingress", DEST, &["west"]);
    mesh.start("east");
    mesh.await_chosen("ingress", DEST, &["east"]);
    fetch(socks, target.address());
}

#[test]
fn geographic_redundancy() {
    let region = |name: &str, other: &str, exits: [&str; 2]| {
        let spec = Spec::new(name).listen().socks5();
        spec.peer(exits[0]).peer_at(exits[1], 2).peer_at(other, 10)
    };
    let exit = |name: &str| Spec::new(name).listen().exit(LOOPBACK);
    let mut mesh = Mesh::new();
    for spec in [
        exit("exit-a"),
        exit("exit-a2"),
        exit("exit-b"),
        exit("exit-b2"),
        region("a1", "b1", ["exit-a", "exit-a2"]),
        region("b1", "a1", ["exit-b", "exit-b2"]),
    ] {
        mesh.add(spec);
    }
    // The regions name each other as peers, so all must be known before the first one starts.
    let names = ["exit-a", "exit-a2", "exit-b", "exit-b2", "a1", "b1"];
    names.iter().for_each(|name| mesh.start(name));
    let target = Target::start();
    mesh.await_chosen("a1", DEST, &["exit-a"]);
    mesh.await_chosen("b1", DEST, &["exit-b"]);
    mesh.await_paths("a1", DEST, &[&["exit-a2"], &["b1", "exit-b"]]);
    // Both dial: one link remains.
    mesh.await_peers("a1", 3);
    mesh.await_peers("b1", 3);

    mesh.kill("exit-a");
    mesh.await_chosen("a1", DEST, &["exit-a2"]);
    fetch(mesh.socks("a1"), target.address());
    mesh.kill("exit-a2");
    mesh.await_chosen("a1", DEST, &["b1", "exit-b"]);
    fetch(mesh.socks("a1"), target.address());
    fetch(mesh.socks("b1"), target.address());

    mesh.start("exit-a");
    mesh.await_chosen("a1", DEST, &["exit-a"]);
    fetch(mesh.socks("a1"), target.address());
}

#[test]
fn active_active_ingress() {
    let mut mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress-1").socks5().peer("exit"),
        Spec::new("ingress-2").socks5().peer("exit"),
    ]);
    let target = Target::start();
    let (one, two) = (mesh.socks("ingress-1"), mesh.socks("ingress-2"));
    mesh.await_chosen("ingress-1", DEST, &["exit"]);
    mesh.await_chosen("ingress-2", DEST, &["exit"]);
    mesh.await_peers("exit", 2);

    let mut survivor = Download::start(two, target.address(), 4 * MIB);
    survivor.read_to(MIB);
    fetch(one, target.address());
    mesh.kill("ingress-1");
    survivor.finish();
    fetch(two, target.address());
    mesh.await_peers("exit", 1);

    mesh.start("ingress-1");
    eventually("ingress-1 carries traffic again", || {
        try_fetch(one, target.address()).then_some(())
    });
}

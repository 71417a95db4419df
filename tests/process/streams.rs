//! Many streams at once, and how one of them ends.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;

use crate::support::traffic::{Download, Echo, MIB, fetch, hold, try_fetch, upload};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target, line, pattern, socks};

const DEST: &str = "127.0.0.1";

#[test]
fn two_ingresses_share_one_transit_with_many_streams_each() {
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("one").socks5().peer("transit"),
        Spec::new("two").socks5().peer("transit"),
    ]);
    for name in ["one", "two"] {
        mesh.await_chosen(name, DEST, &["transit", "exit"]);
    }
    let target = Target::start();
    let work = |socks: SocketAddr, seed: usize| {
        for round in 0..4 {
            let mut echoes: Vec<Echo> = (0..12)
                .map(|_| Echo::open(socks, target.address()))
                .collect();
            echoes
                .iter_mut()
                .enumerate()
                .for_each(|(at, echo)| echo.round(100 + 997 * (at + round + seed)));
            echoes.into_iter().for_each(Echo::finish);
            Download::start(socks, target.address(), MIB).finish();
            upload(socks, target.address(), MIB);
        }
    };
    let (one, two) = (mesh.socks("one"), mesh.socks("two"));
    thread::scope(|scope| {
        for seed in 0..3 {
            scope.spawn(move || work(one, seed));
            scope.spawn(move || work(two, seed));
        }
    });
    eventually("every connection to the target is closed", || {
        (target.open() == 0).then_some(())
    });
    eventually("no stream is left", || {
        let count = mesh.healthz("one")?["stream_count"].as_u64()?;
        (count == 0).then_some(())
    });
}

#[test]
fn a_stalled_reader_does_not_hold_up_its_neighbours() {
    let mesh = line::start();
    let target = Target::start();
    let socks = mesh.socks("ingress");
    // Three readers that do not read, each with more on the way than any buffer takes.
    let mut stalled: Vec<Download> = (0..3)
        .map(|_| Download::start(socks, target.address(), 24 * MIB))
        .collect();
    stalled.iter_mut().for_each(|download| download.read_to(1));

    let mut echo = Echo::open(socks, target.address());
    for _ in 0..20 {
        echo.round(4000);
    }
    echo.finish();
    Download::start(socks, target.address(), 8 * MIB).finish();
    upload(socks, target.address(), 4 * MIB);
    // And the stalled ones have lost nothing when they go on.
    stalled.into_iter().for_each(Download::finish);
}

#[test]
fn an_exit_that_restarts_is_believed_at_once() {
    let mut mesh = line::start();
    let target = Target::start();
    let socks = mesh.socks("ingress");
    fetch(socks, target.address());
    // Twice, because the second restart meets the epoch of the first. Routes live for 5 minutes.
    for _ in 0..2 {
        let mut held = hold(socks, target.address());
        mesh.kill("exit");
        mesh.start("exit");
        eventually("a new connection works", || {
            try_fetch(socks, target.address()).then_some(())
        });
        // What ended in the old process is cut, not left hanging.
        let cut = held.read(&mut [0]);
        assert!(matches!(cut, Ok(0) | Err(_)), "{cut:?}");
        if let Err(error) = cut {
            let hangs = error.kind() == std::io::ErrorKind::WouldBlock;
            assert!(!hangs, "a connection of the dead exit hangs");
        }
    }
}

#[test]
fn a_reset_by_the_target_reaches_the_client() {
    let mesh = line::start();
    let target = Target::start();
    let mut stream = socks::connect(mesh.socks("ingress"), target.address()).expect("a route");
    writeln!(stream, "reset 10000").expect("an open connection");
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    let error = end.expect_err("a reset is not a clean end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(pattern::first_wrong(&bytes, 0), None);
}

#[test]
fn a_client_that_leaves_closes_its_connection_at_the_target() {
    let mesh = line::start();
    let target = Target::start();
    let download = Download::start(mesh.socks("ingress"), target.address(), 1024 * MIB);
    eventually("the target was reached", || {
        (target.open() == 1).then_some(())
    });
    drop(download);
    eventually("the target's connection is closed", || {
        (target.open() == 0).then_some(())
    });
}

#[test]
fn ipv6_targets_are_reached() {
    let address = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0));
    let target = Target::start_on(address).expect("this host has ::1; enable IPv6 on loopback");
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit("routes: ['::1/128']"),
        Spec::new("ingress").socks5().peer("exit"),
    ]);
    mesh.await_chosen("ingress", "::1", &["exit"]);
    fetch(mesh.socks("ingress"), target.address());
}

//! An exit, or an ingress behind its back, dies without a word; a target is out of one exit's reach.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::dns::Dns;
use crate::support::ports::free_port;
use crate::support::socks::Address;
use crate::support::target::SilentTarget;
use crate::support::traffic::{fetch, hold};
use crate::support::wait::{eventually, within};
use crate::support::{LOOPBACK, Mesh, Spec, Target, line};

const DEST: &str = "127.0.0.1";

/// Ingress, transit, two exits of which the first is nearer.
fn two_exits(east: &str, west: &str) -> Mesh {
    Mesh::start_all([
        Spec::new("east").listen().exit(east),
        Spec::new("west").listen().exit(west),
        Spec::new("transit")
            .listen()
            .peer("east")
            .peer_at("west", 2),
        Spec::new("ingress").socks5().peer("transit"),
    ])
}

#[test]
fn no_new_connection_fails_when_an_exit_is_killed() {
    let mut mesh = two_exits(LOOPBACK, LOOPBACK);
    let target = Target::start();
    let ways: [&[&str]; 2] = [&["transit", "east"], &["transit", "west"]];
    mesh.await_chosen("ingress", DEST, ways[0]);
    mesh.await_paths("ingress", DEST, &ways);
    let mut held = hold(mesh.socks("ingress"), target.address());

    mesh.kill("east");
    // From before the mesh knows until long after.
    while mesh
        .chosen("ingress", DEST)
        .is_some_and(|way| way != ways[1])
    {
        fetch(mesh.socks("ingress"), target.address());
    }
    fetch(mesh.socks("ingress"), target.address());
    // What ended in the dead exit is cut, not left hanging.
    let cut = held.read(&mut [0]);
    let hangs = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    assert!(!cut.as_ref().is_err_and(hangs), "{cut:?}");
    assert_eq!(cut.unwrap_or(0), 0);
}

#[test]
fn a_target_that_is_silent_through_one_exit_is_reached_through_the_other() {
    // One name, which leads each exit to an address of its own.
    let port = free_port();
    let target = Target::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let _target = target.expect("the port is free");
    let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
    let silent = SilentTarget::start_on(SocketAddr::from((elsewhere, port)));
    let name = "web.corp.example";
    let dns = [elsewhere, Ipv4Addr::LOCALHOST].map(|ip| Dns::start(&[(name, ip)]));
    let [east, west] = dns.each_ref().map(|dns| {
        format!(
            "{LOOPBACK}, domain_routes: ['*.corp.example'], connect_timeout: 300ms, \
             dns: {{ servers: ['{}'] }}",
            dns.address()
        )
    });
    let mesh = two_exits(&east, &west);
    mesh.await_chosen("ingress", name, &["transit", "east"]);
    mesh.await_paths("ingress", name, &[&["transit", "west"]]);

    // On a starved machine the ingress may turn to west before east has dialled in vain; west is
    // reached every time, and east gets its time-out in the end.
    let timed_out = "warren_exit_connects_total{result=\"timed_out\"} 0";
    eventually("east dialled in vain", || {
        drop(hold(mesh.socks("ingress"), Address::from((name, port))));
        (!mesh.get("east", "/metrics").body.contains(timed_out)).then_some(())
    });
    let connected = "warren_exit_connects_total{result=\"connected\"} 0";
    let east = mesh.get("east", "/metrics").body;
    assert!(east.contains(connected), "{east}");
    assert!(mesh.metric("ingress", "warren_connect_retries_total") >= 1.0);
    drop(silent);
}

#[test]
fn an_ingress_that_comes_back_ends_what_its_dead_process_left_at_the_exit() {
    let mut mesh = line::start();
    let target = Target::start();
    let lost: Vec<TcpStream> = (0..4)
        .map(|_| hold(mesh.socks("ingress"), target.address()))
        .collect();
    assert_eq!(target.open(), 4);

    mesh.kill("ingress");
    mesh.start("ingress");
    mesh.await_chosen("ingress", DEST, &["transit", "exit"]);
    let mut held = hold(mesh.socks("ingress"), target.address());
    // Well before the dead process's session idles out, 30 s after its last word.
    let limit = Duration::from_secs(15);
    within(limit, "its connections to the target are closed", || {
        (target.open() == 1).then_some(())
    });
    // And the new one lives.
    fetch(mesh.socks("ingress"), target.address());
    held.write_all(b"more").expect("an open connection");
    eventually("one stream is left at the exit", || {
        let count = mesh.healthz("exit")?["stream_count"].as_u64()?;
        (count == 1).then_some(())
    });
    assert_eq!(target.open(), 1);
    drop(lost);
}

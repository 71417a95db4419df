//! How an agent ends: at once when told to, with a goodbye to its neighbours.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use crate::support::process::Process;
use crate::support::traffic::{fetch, hold, try_fetch};
use crate::support::wait::{eventually, within};
use crate::support::{LOOPBACK, Mesh, Spec, Target, line, pair};

const DEST: &str = "127.0.0.1";

/// What an idle agent may take to end.
const PROMPTLY: Duration = Duration::from_secs(5);

/// So slow that only a goodbye can tell a neighbour within [`NOTICED`] that a link is gone.
const SLOW_HEARTBEAT: &str =
    "heartbeat: 10s, dead_after: 3, reconnect: { initial_delay: 200ms, max_delay: 1s }";
const NOTICED: Duration = Duration::from_secs(5);

#[test]
fn a_stopped_agent_exits_with_0_and_its_neighbours_drop_it_at_once() {
    for signal in ["TERM", "INT"] {
        let slow = |spec: Spec| spec.connections(SLOW_HEARTBEAT);
        let mut mesh = Mesh::start_all([
            slow(Spec::new("exit").listen().exit(LOOPBACK)),
            slow(Spec::new("first").listen().peer("exit")),
            slow(Spec::new("second").listen().peer("exit")),
            slow(
                Spec::new("ingress")
                    .socks5()
                    .peer("first")
                    .peer_at("second", 2),
            ),
        ]);
        let target = Target::start();
        let paths: [&[&str]; 2] = [&["first", "exit"], &["second", "exit"]];
        mesh.await_paths("ingress", DEST, &paths);
        mesh.await_chosen("ingress", DEST, paths[0]);
        fetch(mesh.socks("ingress"), target.address());

        mesh.process("first").signal(signal);
        let code = mesh.await_exit("first", PROMPTLY);
        assert_eq!(code, Some(0), "exit code after SIG{signal}");
        within(NOTICED, "the neighbours drop the stopped agent", || {
            let ingress = mesh.healthz("ingress")?["peers"].as_u64()?;
            let exit = mesh.healthz("exit")?["peers"].as_u64()?;
            (ingress == 1 && exit == 1).then_some(())
        });
        mesh.await_chosen("ingress", DEST, paths[1]);
        fetch(mesh.socks("ingress"), target.address());
    }
}

#[test]
fn every_role_stops_when_told_to() {
    let mut mesh = line::start();
    for name in ["ingress", "exit", "transit"] {
        let process: &mut Process = mesh.process(name);
        process.signal("TERM");
        assert_eq!(mesh.await_exit(name, PROMPTLY), Some(0), "{name}");
    }
}

#[test]
fn an_ingress_whose_only_exit_stopped_fails_closed_and_recovers() {
    let mut mesh = pair::start();
    let target = Target::start();
    fetch(mesh.socks("ingress"), target.address());
    mesh.process("exit").signal("TERM");
    assert_eq!(mesh.await_exit("exit", PROMPTLY), Some(0));
    eventually("the ingress is not ready", || {
        (mesh.get("ingress", "/ready").status == 503).then_some(())
    });
    let before = target.accepted();
    assert!(!try_fetch(mesh.socks("ingress"), target.address()));
    assert_eq!(target.accepted(), before);
    mesh.start("exit");
    mesh.await_ready("ingress");
    fetch(mesh.socks("ingress"), target.address());
}

#[test]
fn connections_through_a_stopped_exit_end_on_both_sides() {
    let at_once = "drain: { timeout: 0 }";
    let [exit, transit, ingress] = line::agents();
    let mut mesh = Mesh::start_all([exit.extra(at_once), transit, ingress]);
    let target = Target::start();
    mesh.await_chosen("ingress", DEST, line::WAY);
    let hold = |_| hold(mesh.socks("ingress"), target.address());
    let held: Vec<_> = (0..8).map(hold).collect();
    assert_eq!(target.open(), held.len());

    mesh.process("exit").signal("TERM");
    assert_eq!(mesh.await_exit("exit", PROMPTLY), Some(0));
    for mut stream in held {
        let limit = Some(Duration::from_secs(10));
        stream.set_read_timeout(limit).expect("a time limit");
        match stream.read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => panic!("bytes that nobody sent"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    eventually("the target's connections are closed", || {
        (target.open() == 0).then_some(())
    });
    eventually("no stream is listed", || {
        let count = mesh.healthz("ingress")?["stream_count"].as_u64()?;
        (count == 0).then_some(())
    });
}

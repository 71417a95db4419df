//! Agents taken out of service: what is open lives on, what is new goes elsewhere, and back.

use std::io;
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::command::warren;
use crate::support::diamond::{self, DEST, FIRST, SECOND};
use crate::support::process::Process;
use crate::support::traffic::{Download, Echo, MIB, await_reset, fetch, hold, try_fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target, WARREN, http, pair, socks};

/// What an agent with nothing to wait for may take to drain and end, on a busy host.
const PROMPTLY: Duration = Duration::from_secs(5);

/// So slow that a neighbour that ended without moving its sessions away first would be missed for long.
const SLOW_HEARTBEAT: &str =
    "heartbeat: 10s, dead_after: 3, reconnect: { initial_delay: 200ms, max_delay: 1s }";

fn drain(mesh: &Mesh, name: &str) {
    let told = warren(&["drain", "--api", &mesh.api_url(name)]).success();
    assert!(told.ends_with("drained\n"), "{told}");
}

fn undrain(mesh: &Mesh, name: &str) {
    let told = warren(&["drain", "--undo", "--api", &mesh.api_url(name)]).success();
    assert_eq!(told, "not draining\n");
}

/// Starts a drain and does not wait for its end.
fn begin(mesh: &Mesh, name: &str) {
    let answer = http::post(mesh.http(name), "/api/drain").expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["status"], "draining");
}

fn stage(mesh: &Mesh, name: &str) -> Option<String> {
    let health = mesh.healthz(name)?;
    Some(health["drain"]["stage"].as_str()?.to_owned())
}

fn await_stage(mesh: &Mesh, name: &str, wanted: &str) {
    eventually(&format!("{name} is {wanted}"), || {
        (stage(mesh, name)? == wanted).then_some(())
    });
}

/// Two exits for the same addresses, the first one nearer.
fn two_exits(keys: &str) -> Mesh {
    let mesh = Mesh::start_all([
        Spec::new("near").listen().exit(LOOPBACK).extra(keys),
        Spec::new("far").listen().exit(LOOPBACK),
        Spec::new("ingress")
            .socks5()
            .peer_at("near", 1)
            .peer_at("far", 2),
    ]);
    mesh.await_chosen("ingress", DEST, &["near"]);
    mesh.await_paths("ingress", DEST, &[&["near"], &["far"]]);
    mesh
}

#[test]
fn a_transits_sessions_move_before_it_leaves() {
    for by in ["command", "TERM", "INT"] {
        let slow = diamond::agents().map(|spec| spec.connections(SLOW_HEARTBEAT));
        let mut mesh = Mesh::start_all(slow);
        diamond::await_both_ways(&mesh);
        let target = Target::start();
        let mut echo = Echo::open(mesh.socks("ingress"), target.address());
        echo.round(1_000);
        let mut download = Download::start(mesh.socks("ingress"), target.address(), 64 * MIB);
        download.read_to(MIB);
        match by {
            "command" => {
                drain(&mesh, "first");
                assert!(mesh.process("first").is_running(), "it stays, idle");
                assert_eq!(mesh.get("first", "/ready").status, 503);
                assert_eq!(mesh.chosen("ingress", DEST).unwrap(), SECOND);
                mesh.process("first").signal("TERM");
            }
            signal => mesh.process("first").signal(signal),
        }
        assert_eq!(mesh.await_exit("first", PROMPTLY), Some(0), "{by}");
        // Without a wait for 30 s of silence.
        let started = Instant::now();
        echo.round(1_000);
        download.read_to(32 * MIB);
        assert!(started.elapsed() < Duration::from_secs(10), "{by}");
        download.finish();
        echo.finish();
        let metrics = mesh.get("ingress", "/metrics").body;
        let moved = "warren_failovers_total{cause=\"draining\"} 1\n";
        assert!(metrics.contains(moved), "{by}: {metrics}");
    }
}

#[test]
fn a_drained_transit_is_used_again_when_that_is_taken_back() {
    let mesh = diamond::start();
    let target = Target::start();
    drain(&mesh, "first");
    mesh.await_chosen("ingress", DEST, SECOND);
    undrain(&mesh, "first");
    mesh.await_chosen("ingress", DEST, FIRST);
    mesh.await_ready("first");
    fetch(mesh.socks("ingress"), target.address());
}

#[test]
fn connections_of_a_draining_exit_live_on_and_new_ones_go_elsewhere() {
    let mut mesh = two_exits("");
    let target = Target::start();
    let mut held = Echo::open(mesh.socks("ingress"), target.address());
    held.round(1_000);
    thread::scope(|scope| {
        let (socks, target) = (mesh.socks("ingress"), target.address());
        let clients = scope.spawn(move || (0..300).for_each(|_| fetch(socks, target)));
        begin(&mesh, "near");
        clients.join().expect("no connection fails meanwhile");
    });
    assert_eq!(mesh.chosen("ingress", DEST).unwrap(), ["far"]);
    assert_eq!(stage(&mesh, "near").unwrap(), "emptying");
    eventually("one connection is left", || {
        let health = mesh.healthz("near")?;
        assert_eq!(health["status"], "draining");
        (health["drain"]["connections"] == 1).then_some(())
    });
    held.round(100_000);
    held.finish();
    await_stage(&mesh, "near", "drained");
    assert!(mesh.process("near").is_running());

    undrain(&mesh, "near");
    mesh.await_chosen("ingress", DEST, &["near"]);
    fetch(mesh.socks("ingress"), target.address());
}

#[test]
fn a_stopping_exit_delivers_what_it_has_to_the_last_byte() {
    let mut mesh = two_exits("");
    let target = Target::start();
    // As large as what is on the way at its end.
    let downloads: Vec<_> = (0..8)
        .map(|_| {
            let mut download = Download::start(mesh.socks("ingress"), target.address(), 2 * MIB);
            download.read_to(1);
            download
        })
        .collect();
    mesh.process("near").signal("TERM");
    // Nobody reads yet, so that the rest waits in windows and buffers.
    await_stage(&mesh, "near", "emptying");
    thread::sleep(Duration::from_secs(1));
    downloads.into_iter().for_each(Download::finish);
    assert_eq!(mesh.await_exit("near", PROMPTLY), Some(0));
    fetch(mesh.socks("ingress"), target.address());
}

#[test]
fn what_is_left_at_the_timeout_is_reset_and_counted() {
    let mut mesh = two_exits("drain: { timeout: 1s }");
    let target = Target::start();
    let mut held: Vec<_> = (0..5)
        .map(|_| hold(mesh.socks("ingress"), target.address()))
        .collect();
    let told = warren(&["drain", "--api", &mesh.api_url("near")]).success();
    assert!(
        told.ends_with("drained: connections that were reset: 5\n"),
        "{told}"
    );
    held.iter_mut().for_each(await_reset);
    eventually("the target's connections are closed", || {
        (target.open() == 0).then_some(())
    });
    mesh.await_log("near", &["drain.timeout", "left=5"]);
    assert_eq!(mesh.healthz("near").unwrap()["drain"]["cut"], 5);

    // It serves again, and is stopped the same way.
    undrain(&mesh, "near");
    mesh.await_chosen("ingress", DEST, &["near"]);
    let mut held = hold(mesh.socks("ingress"), target.address());
    mesh.process("near").signal("TERM");
    assert_eq!(mesh.await_exit("near", PROMPTLY), Some(0));
    await_reset(&mut held);
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    let mut mesh = two_exits("");
    let target = Target::start();
    let mut held = hold(mesh.socks("ingress"), target.address());
    mesh.process("near").signal("TERM");
    await_stage(&mesh, "near", "emptying");
    let undone = http::post(mesh.http("near"), "/api/undrain").expect("an answer");
    assert_eq!(undone.status, 409, "{undone:?}");
    assert!(undone.body.contains("cannot be taken back"), "{undone:?}");
    mesh.process("near").signal("INT");
    assert_eq!(mesh.await_exit("near", PROMPTLY), Some(0));
    await_reset(&mut held);
}

#[test]
fn a_draining_ingress_serves_through_its_notice_and_then_gives_up_its_port() {
    let ingress = pair::ingress().extra("drain: { notice: 2s, timeout: 20s }");
    let mesh = pair::start_as(pair::exit(), ingress);
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    echo.round(1_000);
    begin(&mesh, "ingress");
    assert_eq!(mesh.get("ingress", "/ready").status, 503);
    // As a balancer still does until its next check.
    fetch(mesh.socks("ingress"), target.address());
    assert_eq!(stage(&mesh, "ingress").unwrap(), "noticed");
    await_stage(&mesh, "ingress", "emptying");
    let refused = TcpStream::connect(mesh.socks("ingress")).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    begin(&mesh, "ingress");
    echo.round(1_000);
    echo.finish();
    await_stage(&mesh, "ingress", "drained");

    undrain(&mesh, "ingress");
    mesh.await_ready("ingress");
    fetch(mesh.socks("ingress"), target.address());
}

#[test]
fn a_drain_is_taken_back_only_as_far_as_the_agent_can_serve_again() {
    let mesh = pair::start();
    let target = Target::start();
    drain(&mesh, "ingress");
    let thief = std::net::TcpListener::bind(mesh.socks("ingress")).expect("the port is free");
    let failed = warren(&["drain", "--undo", "--api", &mesh.api_url("ingress")]);
    assert_eq!(failed.code, Some(1));
    let told = failed.error_line();
    assert!(
        told.contains("still draining") && told.contains("socks5.address"),
        "{told}"
    );
    assert_eq!(mesh.get("ingress", "/ready").status, 503);
    drop(thief);
    undrain(&mesh, "ingress");
    mesh.await_ready("ingress");
    fetch(mesh.socks("ingress"), target.address());
}

#[test]
fn the_drain_of_the_only_exit_fails_closed_until_it_is_taken_back() {
    let mesh = pair::start_as(pair::exit(), pair::hasty_ingress());
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    echo.round(1_000);
    begin(&mesh, "exit");
    eventually("the ingress has no route", || {
        (mesh.get("ingress", "/ready").status == 503).then_some(())
    });
    let before = target.accepted();
    assert_eq!(socks::refusal(mesh.socks("ingress"), target.address()), 3);
    assert_eq!(target.accepted(), before);
    echo.round(1_000);
    undrain(&mesh, "exit");
    mesh.await_ready("ingress");
    assert!(try_fetch(mesh.socks("ingress"), target.address()));
    echo.finish();
}

#[test]
fn whoever_waits_for_a_drain_hears_that_it_was_taken_back() {
    let mesh = two_exits("");
    let target = Target::start();
    let _held = hold(mesh.socks("ingress"), target.address());
    let log = mesh.dir().join("drain.log");
    let mut command = Command::new(WARREN);
    command.args(["drain", "--api", &mesh.api_url("near")]);
    let mut waiting = Process::spawn("warren drain", &mut command, &log);
    await_stage(&mesh, "near", "emptying");
    eventually("the command tells what is left", || {
        waiting.log().contains("1 connection is left").then_some(())
    });
    undrain(&mesh, "near");
    let status = waiting.wait_exit(PROMPTLY);
    assert_eq!(status.code(), Some(1), "{}", waiting.log());
    assert!(waiting.log().contains("the drain was taken back"));
}

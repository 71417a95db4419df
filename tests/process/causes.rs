//! Causes that an operator is told by the commands, and not by the log alone.

use serde_json::Value;

use crate::support::command::warren;
use crate::support::mesh::path_text;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, pair};

const HOUR: i64 = 3_600;

fn told(mesh: &Mesh, command: &str) -> String {
    warren(&[command, "--wide", "--api", &mesh.api_url("ingress")]).success()
}

/// An exit with a clock of its own, and an ingress that is not started.
fn with_clock(ahead: i64) -> Mesh {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK).own_clock());
    mesh.add(Spec::new("ingress").socks5().peer("exit"));
    mesh.set_clock("exit", ahead);
    mesh.start("exit");
    eventually("the exit answers", || mesh.healthz("exit"));
    mesh
}

#[test]
fn a_check_that_dials_compares_clocks_both_ways() {
    for (ahead, level, words) in [
        (HOUR, "fail", "but its clock is 3600 s ahead of this host's"),
        (-HOUR, "fail", "but its clock is 3600 s behind this host's"),
        (60, "ok", "; its clock is 60 s ahead of this host's"),
        (-60, "ok", "; its clock is 60 s behind this host's"),
        (0, "ok", "answers as exit, round trip"),
    ] {
        let mesh = with_clock(ahead);
        let config = path_text(&mesh.write_config("ingress"));
        let checked = warren(&["check", "-c", &config, "--connect"]);
        let lines: Vec<&str> = checked.stdout.lines().collect();
        let line = lines.iter().find(|line| line.contains("answers as exit"));
        let line = line.unwrap_or_else(|| panic!("{checked:#?}"));
        assert!(line.starts_with(level) && line.contains(words), "{line}");
        assert_eq!(line.contains("clock"), ahead != 0, "{line}");
        assert_eq!(checked.code, Some((level == "fail").into()), "{checked:#?}");
    }
}

#[test]
fn a_clock_that_differs_is_told_by_status_and_events() {
    for (ahead, direction) in [(HOUR, "ahead of"), (-HOUR, "behind")] {
        let mut mesh = with_clock(ahead);
        mesh.start("ingress");
        mesh.await_peers("ingress", 1);
        let id = mesh.id("exit").to_owned();
        let status = eventually("the status names the clock", || {
            let status = told(&mesh, "status");
            status.contains("the clock of agent").then_some(status)
        });
        assert!(status.contains(&id), "{status}");
        assert!(
            status.contains(&format!("s {direction} this host's, so it is left out")),
            "{status}"
        );
        let events = told(&mesh, "events");
        assert!(events.contains("clock skew: "), "{events}");
        assert!(
            events.contains(&format!("s {direction} this host\n")),
            "{events}"
        );
        let json = mesh.get("ingress", "/api/events").json();
        let skew = json.as_array().expect("a list").iter();
        let skew: Vec<&Value> = skew.filter(|event| event["kind"] == "clock_skew").collect();
        assert_eq!(skew[0]["peer"], id);
        let off = skew[0]["ahead_ms"].as_i64().expect("a number") / 1_000;
        assert!((off - ahead).abs() <= 60, "{off}");
    }
}

#[test]
fn why_a_peer_is_not_linked_is_told_with_its_last_name() {
    let mut mesh = pair::start();
    mesh.kill("exit");
    let expected = format!("peer {} (exit) is not linked: ", mesh.id("exit"));
    let status = eventually("the status tells", || {
        let status = told(&mesh, "status");
        status.contains(&expected).then_some(status)
    });
    assert!(status.starts_with("status:   unavailable\n"), "{status}");
    let json = mesh.get("ingress", "/api/peers").json();
    let error = json[0]["last_error"].as_str().expect("why");
    assert!(!error.is_empty());
    for width in [&[][..], &["--wide"]] {
        let url = mesh.api_url("ingress");
        let peers = warren(&[&["peers", "--api", &url], width].concat()).success();
        assert!(peers.contains("exit") && peers.contains("down"), "{peers}");
        assert!(peers.to_lowercase().contains("last error"), "{peers}");
    }
    let events = told(&mesh, "events");
    assert!(events.contains("link down: exit ("), "{events}");
    let json = mesh.get("ingress", "/api/events").json();
    let mut events = json.as_array().expect("a list").iter();
    let down = events.rfind(|event| event["kind"] == "link_down");
    assert_eq!(down.expect("the link's end")["peer_name"], "exit");
}

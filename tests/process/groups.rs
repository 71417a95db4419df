//! What a CA says of an agent reaches the exit that it opens sessions with, and nobody says it of himself.

use std::fs;

use crate::support::command::warren;
use crate::support::mesh::path_text;
use crate::support::traffic::fetch;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// The entry of `/api/sessions` at the exit whose ingress is this agent.
fn session(mesh: &Mesh, ingress: &str) -> serde_json::Value {
    let id = mesh.id(ingress);
    eventually("the exit lists the session", || {
        let sessions = mesh.get("exit", "/api/sessions").json();
        let mut sessions = sessions.as_array()?.iter();
        sessions.find(|entry| entry["ingress"] == id).cloned()
    })
}

#[test]
fn an_exit_knows_the_groups_and_roles_of_an_ingress() {
    let grants = ["--ingress", "--group", "Ops", "--group", "eu.db"];
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ops").socks5().peer("exit").grants(&grants),
        Spec::new("plain").socks5().peer("exit"),
    ]);
    let target = Target::start();
    for ingress in ["ops", "plain"] {
        mesh.await_chosen(ingress, "127.0.0.1", &["exit"]);
        fetch(mesh.socks(ingress), target.address());
    }
    let ops = session(&mesh, "ops");
    assert_eq!(ops["groups"], serde_json::json!(["eu.db", "ops"]));
    assert_eq!(ops["roles"], serde_json::json!(["ingress"]));
    let plain = session(&mesh, "plain");
    assert_eq!(plain["groups"], serde_json::json!([]));
    assert_eq!(plain["roles"].as_array().map(Vec::len), Some(3));
}

/// A pin takes any certificate of the key, also one of a CA that the exit does not know.
#[test]
fn a_pinned_agent_puts_itself_into_no_group() {
    let mut mesh = Mesh::new();
    let dir = mesh.dir().join("own");
    let own = path_text(&dir);
    warren(&["cert", "ca", "-n", "its own", "-o", &own]).success();
    let id = warren(&[
        "cert", "agent", "-n", "pinned", "--ca", &own, "-o", &own, "--group", "ops",
    ]);
    let id = id.success().trim().to_owned();
    for file in ["pinned.crt", "pinned.key"] {
        fs::copy(dir.join(file), mesh.dir().join(file)).expect("a writable folder");
    }
    let pin = format!("trust: {{ allow: ['{id}'] }}");
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK).extra(&pin));
    mesh.add_as(Spec::new("pinned").socks5().peer("exit"), id);
    mesh.start("exit");
    mesh.start("pinned");
    mesh.await_chosen("pinned", "127.0.0.1", &["exit"]);
    fetch(mesh.socks("pinned"), Target::start().address());
    assert_eq!(session(&mesh, "pinned")["groups"], serde_json::json!([]));
}

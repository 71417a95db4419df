//! What an agent remembers of links, sessions and failovers.

use std::process::Command;

use serde_json::Value;

use crate::support::command::warren;
use crate::support::diamond::{self, FIRST, SECOND};
use crate::support::process::Process;
use crate::support::traffic::Echo;
use crate::support::wait::eventually;
use crate::support::{Mesh, Target, WARREN};

fn events(mesh: &Mesh, query: &str) -> Vec<Value> {
    let answer = mesh.get("ingress", &format!("/api/events{query}")).json();
    answer.as_array().expect("a list").clone()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["kind"] == kind)
        .collect()
}

fn number(event: &Value) -> u64 {
    event["number"].as_u64().expect("a number")
}

#[test]
fn a_failover_is_remembered_between_what_led_to_it_and_what_followed() {
    let mut mesh = diamond::start();
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    echo.round(1_000);
    let before = events(&mesh, "");
    let up: Vec<_> = of_kind(&before, "link_up");
    for peer in ["first", "second"] {
        let known = up.iter().any(|event| event["peer"] == mesh.id(peer));
        assert!(known, "no link to {peer} in {before:#?}");
    }
    let opened = of_kind(&before, "session_opened");
    assert_eq!(opened.len(), 1, "{before:#?}");
    assert_eq!(opened[0]["peer"], mesh.id("exit"));
    assert_eq!(opened[0]["side"], "ingress");
    let known = before.iter().map(number).max().expect("events");

    let api = mesh.api_url("ingress");
    let log = mesh.dir().join("follow.log");
    let mut command = Command::new(WARREN);
    command.args(["events", "--follow", "--api", &api]);
    let follower = Process::spawn("warren events", &mut command, &log);

    mesh.kill("first");
    echo.round(1_000);
    let news = eventually("the failover is listed", || {
        let news = events(&mesh, &format!("?since={known}"));
        (!of_kind(&news, "failover").is_empty()).then_some(news)
    });
    assert!(news.iter().map(number).is_sorted(), "{news:#?}");
    assert!(number(&news[0]) > known, "{news:#?}");
    let failover = of_kind(&news, "failover")[0];
    assert_eq!(failover["peer"], mesh.id("exit"));
    let ids = |names: &[&str]| -> Value { names.iter().map(|name| mesh.id(name)).collect() };
    assert_eq!(failover["from"], ids(FIRST));
    assert_eq!(failover["to"], ids(SECOND));
    assert!(failover["at"].as_str().expect("a time").ends_with('Z'));
    for field in ["cause", "detection_ms", "stall_ms", "in_flight_bytes"] {
        assert!(failover.get(field).is_some(), "no {field} in {failover}");
    }
    let down = eventually("the lost link is listed", || {
        let news = events(&mesh, &format!("?since={known}"));
        of_kind(&news, "link_down")
            .first()
            .map(|down| (*down).clone())
    });
    assert_eq!(down["peer"], mesh.id("first"));
    assert!(!down["reason"].as_str().expect("a reason").is_empty());

    eventually("the follower sees the failover", || {
        follower.log().contains("failover to exit").then_some(())
    });
    let sheet = warren(&["status", "--api", &api]).success();
    assert!(sheet.contains("last failovers:"), "{sheet}");
    // Numbers of an earlier process: everything is new.
    assert!(!events(&mesh, "?since=1000000").is_empty());
    echo.finish();
}

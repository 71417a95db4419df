//! Scenario files, and that every invariant can be broken.

mod files;

use std::time::Duration;

use super::judge::judge;
use super::record::{
    Attempt, End, Event, Flow, Growth, Outcome, PathSeen, Pause, Reason, Record, Struck,
};
use super::report::Report;
use super::{page, parse};

const GOOD: &str = "\
summary: An example
duration: 10s
agents:
  ingress: { roles: [ingress] }
  transit: {}
  exit: { roles: [exit] }
links:
  - { between: [ingress, transit] }
  - { between: [transit, exit] }
faults:
  - { at: 2s, do: cut, target: exit -> transit, for: 1s }
workload:
  - { do: download, count: 2, rate: 8mbit }
  - { do: connect }
expect:
  forms-within: 4s
  failed-dials: 0
  link-downs: 1
  stall: 500ms
  wait: 400ms
  ended-within: 2s
  recovers-within: 1s
  replies: [3]
  failovers: at least 1
  reason: one path left
  path: [transit, exit]
  returns-within: 3s
  health: { ingress: [healthy, degraded] }
  memory-growth-mib: 10
  descriptor-growth: 4
";

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A run in which all invariants of [`GOOD`] hold.
fn record() -> Record {
    let arrivals = (0..1_000).map(|tick| (ms(tick * 10), 1_000));
    let attempt = |begun: u64, took: u64, outcome| Attempt {
        begun: ms(begun),
        ended: ms(begun + took),
        outcome,
    };
    Record {
        length: ms(10_000),
        faults: vec![Struck {
            fault: "cut exit -> transit for 1s".to_owned(),
            at: ms(2_000),
            until: Some(ms(3_000)),
            decided: 0,
        }],
        flows: vec![Flow {
            name: "download 1".to_owned(),
            bytes: 1_000_000,
            begun: ms(0),
            ended: ms(10_000),
            over: ms(10_000),
            end: End::Complete,
            arrivals: arrivals.collect(),
        }],
        attempts: (0..500)
            .map(|n| attempt(n * 20, 2, Outcome::Echoed))
            .collect(),
        events: vec![
            Event {
                at: ms(2_200),
                agent: "ingress".to_owned(),
                kind: "failover".to_owned(),
                text: "by <another> way".to_owned(),
                is_ingress: true,
            },
            Event {
                at: ms(2_150),
                agent: "transit".to_owned(),
                kind: "link_down".to_owned(),
                text: "exit: no heartbeat".to_owned(),
                is_ingress: false,
            },
        ],
        paths: vec![PathSeen {
            at: ms(3_500),
            path: vec!["transit".to_owned(), "exit".to_owned()],
        }],
        health: [("ingress".to_owned(), Some("healthy".to_owned()))].into(),
        reasons: vec![Reason {
            at: ms(2_500),
            agent: "ingress".to_owned(),
            reason: "one path left to 127.0.0.0/8".to_owned(),
        }],
        growth: vec![Growth {
            agent: "ingress".to_owned(),
            memory_bytes: 1_024,
            descriptors: 1,
        }],
        origins: super::origin::Origins {
            exits: 501,
            ..Default::default()
        },
        ..Record::default()
    }
}

/// The invariants that a changed run breaks.
fn broken(text: &str, change: impl FnOnce(&mut Record)) -> Vec<String> {
    let scenario = parse("example", "example.yaml", text).unwrap();
    let mut record = record();
    change(&mut record);
    let findings = judge(&scenario, &record);
    let broken = findings.into_iter().filter(|finding| !finding.holds);
    broken.map(|finding| finding.invariant).collect()
}

/// [`GOOD`] but for `ended-within`, which needs a connection that broke.
fn good() -> String {
    GOOD.replace("  ended-within: 2s\n", "")
}

fn refused(reply: u8) -> Outcome {
    Outcome::Failed {
        reply: Some(reply),
        error: format!("reply {reply:#04x}"),
    }
}

#[test]
fn a_good_run_holds() {
    assert_eq!(broken(&good(), |_| {}), [""; 0]);
}

#[test]
fn every_invariant_can_be_broken() {
    type Change = fn(&mut Record);
    let cases: [(&str, Change); 21] = [
        ("bytes exact", |it| {
            it.flows[0].end = End::Damaged("byte 7".to_owned())
        }),
        ("bytes exact", |it| it.flows[0].bytes = 0),
        ("nothing past the mesh", |it| {
            it.origins.leaks.push("ingress".to_owned())
        }),
        ("nothing past the mesh", |it| it.origins.exits = 0),
        ("no agent ended by itself", |it| {
            it.deaths.push("exit ended".to_owned())
        }),
        ("faults struck", |it| it.faults.clear()),
        ("open connections broken", |it| {
            it.attempts[3].outcome = Outcome::Broken("cut".to_owned())
        }),
        ("new connections failed", |it| {
            it.attempts[3].outcome = refused(3)
        }),
        ("the mesh had formed after", |it| it.formed = ms(4_001)),
        ("dials failed", |it| it.failed_dials = 1),
        ("links went down", |it| it.events.clear()),
        ("links went down", |it| {
            let lost = it.events[1].clone();
            it.forming.push(lost);
        }),
        ("longest stall", |it| {
            let stalled = ms(2_000)..ms(2_600);
            it.flows[0].arrivals.retain(|(at, _)| !stalled.contains(at));
        }),
        ("longest wait of a new connection", |it| {
            it.attempts[9].ended += ms(500)
        }),
        ("new connections work again after", |it| {
            it.attempts[300].outcome = refused(3)
        }),
        ("failovers", |it| it.events.clear()),
        ("a reason in /healthz", |it| it.reasons.clear()),
        ("path at the end", |it| it.paths[0].at = ms(6_500)),
        ("path at the end", |it| it.paths[0].path.truncate(1)),
        ("/healthz of ingress at the end", |it| {
            it.health
                .insert("ingress".to_owned(), Some("unavailable".to_owned()));
        }),
        ("descriptors grew by", |it| it.growth[0].descriptors = 5),
    ];
    for (invariant, change) in cases {
        let found = broken(&good(), change);
        assert!(
            found.iter().any(|it| it == invariant),
            "{invariant}: {found:?}"
        );
    }
    let memory = |it: &mut Record| it.growth[0].memory_bytes = 11 << 20;
    assert_eq!(broken(&good(), memory), ["memory grew by"]);
}

#[test]
fn refusals_are_held_against_their_replies() {
    let text = good().replace("expect:\n", "expect:\n  failed: at most 1\n");
    let refuse = |reply| move |it: &mut Record| it.attempts[120].outcome = refused(reply);
    assert_eq!(broken(&text, refuse(3)), [""; 0]);
    assert_eq!(broken(&text, refuse(5)), ["replies of failed ones"]);
    let text = text.replace("at most 1", "at least 2");
    assert_eq!(broken(&text, refuse(3)), ["new connections failed"]);
}

#[test]
fn what_is_lost_while_the_machine_stands_still_is_counted_by_itself() {
    let lose = |from: u64, to: u64| {
        move |it: &mut Record| {
            let (from, to) = (ms(from), ms(to));
            it.pauses.push(Pause { from, to });
            let lost = Event {
                at: ms(6_000),
                ..it.events[1].clone()
            };
            it.events.push(lost);
            it.attempts[300].outcome = Outcome::Broken("reset".to_owned());
            it.attempts[301].outcome = refused(3);
        }
    };
    let text = good().replace("  recovers-within: 1s\n", "");
    let all = [
        "open connections broken",
        "new connections failed",
        "links went down",
    ];
    assert_eq!(broken(&text, lose(5_500, 5_950)), [""; 0]);
    assert_eq!(broken(&text, lose(2_500, 2_990)), all, "long over");
    assert_eq!(broken(&text, lose(6_030, 6_500)), all, "only later");
    assert_eq!(broken(&text, lose(5_800, 6_090)), all, "too short");
    // What was expected counts whoever it was.
    let none = |it: &mut Record| {
        let (from, to) = (ms(1_800), ms(2_200));
        it.pauses.push(Pause { from, to });
    };
    assert_eq!(broken(&text, none), [""; 0]);
}

#[test]
fn a_transfer_that_began_anew_carries_what_all_its_connections_do() {
    let flow = |number: u32, begun: u64, over: u64| Flow {
        name: format!("download {number}"),
        bytes: 1_000_000,
        begun: ms(begun),
        ended: ms(over),
        over: ms(over),
        end: End::Complete,
        arrivals: Vec::new(),
    };
    let record = Record {
        flows: vec![flow(1, 0, 1_000), flow(2, 0, 8_000), flow(1, 7_000, 8_000)],
        ..Record::default()
    };
    assert_eq!(record.mbit("download"), Some(3.0));
    assert_eq!(record.mbit("upload"), None);
}

#[test]
fn connections_that_break_must_break_soon() {
    let text = GOOD.replace("expect:\n", "expect:\n  broken: 1\n");
    let break_at = |end: u64| {
        move |it: &mut Record| {
            it.flows[0].end = End::Broken("reset".to_owned());
            it.flows[0].ended = ms(end);
            let live = it.flows[0].clone();
            it.flows.push(Flow {
                end: End::Complete,
                ended: ms(10_000),
                over: ms(10_000),
                ..live
            });
        }
    };
    assert_eq!(broken(&text, break_at(3_900)), [""; 0]);
    assert_eq!(broken(&text, break_at(4_100)), ["broken ones ended after"]);
    let none = broken(&text, |_| {});
    assert_eq!(none, ["open connections broken", "broken ones ended after"]);
}

#[test]
fn a_rule_that_met_no_packet_proves_nothing() {
    let text = good().replace("do: cut, target", "do: grey, target");
    let struck = |decided| {
        move |it: &mut Record| {
            it.faults[0].fault = "lose data on exit -> transit for 1s".to_owned();
            it.faults[0].decided = decided;
        }
    };
    assert_eq!(broken(&text, struck(9)), [""; 0]);
    assert_eq!(broken(&text, struck(0)), ["faults struck"]);
}

fn report() -> Report {
    let scenario = parse("example", "example.yaml", &good()).unwrap();
    let replay = "internal-chaos run example.yaml --seed 7".to_owned();
    Report::new(&scenario, 7, "warren 0.0.0".to_owned(), replay, record())
}

#[test]
fn texts_tell_verdict_moments_and_how_to_run_again() {
    let text = report().text();
    for part in [
        "example: holds\n",
        "2000 ms  fault: cut exit -> transit for 1s",
        "2200 ms  ingress: failover: by <another> way",
        "ok     longest stall: 10 ms of download 1 (wanted: at most 500 ms)",
        "again: internal-chaos run example.yaml --seed 7",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let mut bad = report();
    bad.holds = false;
    assert!(bad.text().starts_with("example: BROKEN\n"));
}

#[test]
fn json_has_stable_keys() {
    let json = serde_json::to_value(report()).unwrap();
    assert_eq!(json["findings"][0]["invariant"], "bytes exact");
    assert_eq!(json["record"]["faults"][0]["at"], 2_000.0);
    assert_eq!(json["record"]["flows"][0]["end"], "complete");
}

#[test]
fn pages_stand_alone_and_say_the_picture_in_words() {
    let failures = [("other".to_owned(), "no such <agent>".to_owned())];
    let page = page::html(&[report()], &failures);
    for part in [
        "<html lang=\"en\">",
        "role=\"img\"",
        "<title>Timeline of example</title>",
        "<desc>Throughput of 1 transfers over 10 seconds. At 2000 ms: cut exit -&gt; transit",
        "<th scope=\"row\">bytes exact</th>",
        "by &lt;another&gt; way",
        "no such &lt;agent&gt;",
        "href=\"#example\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for foreign in ["<script", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let opened = page.matches("<text").count();
    assert_eq!(opened, page.matches("</text>").count());
}

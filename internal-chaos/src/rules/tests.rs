//! Rules in virtual time.

use std::num::NonZeroU64;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::packet::{Direction, Packet, Plane, Ways};
use crate::units::Probability;

const MS: Duration = Duration::from_millis(1);

/// Rules and a stage, with a packet's number as its content.
struct Bench {
    rules: Rules,
    stage: Stage,
    start: Instant,
}

impl Bench {
    fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut set = Rules::new(7);
        for rule in rules {
            set.add(rule);
        }
        Self {
            rules: set,
            stage: Stage::default(),
            start: Instant::now(),
        }
    }

    fn send(&mut self, at: u32, payload: &[u8]) {
        self.send_flow(at, 1, payload);
    }

    fn send_flow(&mut self, at: u32, flow: u64, payload: &[u8]) {
        let packet = Packet {
            flow,
            payload: payload.to_vec(),
        };
        let now = self.start + at * MS;
        let direction = Direction::ToServer;
        self.stage
            .handle_packet(now, &mut self.rules, direction, packet);
    }

    fn arrived(&mut self, at: u32) -> Vec<Vec<u8>> {
        let now = self.start + at * MS;
        std::iter::from_fn(|| self.stage.poll_packet(now))
            .map(|(_, packet)| packet.payload)
            .collect()
    }

    /// First bytes of what arrived.
    fn numbers(&mut self, at: u32) -> Vec<u8> {
        self.arrived(at).iter().map(|payload| payload[0]).collect()
    }
}

fn nth(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

fn on(nth: Nth, verdict: Verdict) -> Rule {
    let matcher = Matcher {
        nth: Some(nth),
        ..Matcher::ALL
    };
    Rule::new(matcher, verdict)
}

#[test]
fn matchers_look_at_direction_size_and_plane() {
    let link = [0xc0_u8; 100];
    let data = [0x03_u8; 100];
    let dropped = |matcher: Matcher, direction: Direction, payload: &[u8]| {
        let mut rules = Rules::new(0);
        rules.add(Rule::new(matcher, Verdict::Drop));
        rules.handle_packet(direction, payload) == Verdict::Drop
    };
    let to_client = Matcher {
        direction: Ways::ToClient,
        ..Matcher::ALL
    };
    assert!(dropped(to_client, Direction::ToClient, &link));
    assert!(!dropped(to_client, Direction::ToServer, &link));
    let sized = Matcher {
        at_least: 100,
        at_most: 100,
        ..Matcher::ALL
    };
    assert!(dropped(sized, Direction::ToServer, &link));
    assert!(!dropped(sized, Direction::ToServer, &link[..99]));
    assert!(!dropped(sized, Direction::ToServer, &[0; 101]));
    for (plane, yes, no) in [(Plane::Data, data, link), (Plane::Link, link, data)] {
        let matcher = Matcher::plane(plane);
        assert!(dropped(matcher, Direction::ToServer, &yes));
        assert!(!dropped(matcher, Direction::ToServer, &no));
        assert!(!dropped(matcher, Direction::ToServer, &[]));
    }
    assert!(dropped(Matcher::ALL, Direction::ToServer, &[]));
}

#[test]
fn packets_are_counted_from_the_rule_on() {
    let survivors = |which: Nth| {
        let mut bench = Bench::new([on(which, Verdict::Drop)]);
        (1..=7).for_each(|number| bench.send(0, &[number]));
        bench.numbers(0)
    };
    assert_eq!(survivors(Nth::Only(nth(3))), [1, 2, 4, 5, 6, 7]);
    assert_eq!(survivors(Nth::Every(nth(3))), [1, 2, 4, 5, 7]);
    assert_eq!(survivors(Nth::First(nth(3))), [4, 5, 6, 7]);
    assert_eq!(survivors(Nth::From(nth(3))), [1, 2]);
}

#[test]
fn the_first_rule_that_matches_decides_until_it_is_removed() {
    let mut rules = Rules::new(0);
    let data = rules.add(Rule::new(Matcher::plane(Plane::Data), Verdict::Pass));
    let all = rules.add(Rule::new(Matcher::ALL, Verdict::Drop));
    let decide = |rules: &mut Rules| rules.handle_packet(Direction::ToServer, &[0]);
    assert_eq!(decide(&mut rules), Verdict::Pass);
    assert_eq!(
        (rules.decided(data), rules.decided(all)),
        (Some(1), Some(0))
    );
    rules.remove(data);
    assert_eq!(decide(&mut rules), Verdict::Drop);
    assert_eq!((rules.decided(data), rules.decided(all)), (None, Some(1)));
    rules.clear();
    assert!(rules.is_empty());
    assert_eq!(decide(&mut rules), Verdict::Pass);
}

#[test]
fn delayed_packets_come_when_their_time_has_come() {
    let mut bench = Bench::new([on(Nth::First(nth(2)), Verdict::Delay(10 * MS))]);
    (1..=3).for_each(|number| bench.send(u32::from(number), &[number]));
    assert_eq!(bench.stage.poll_timeout(), Some(bench.start + 11 * MS));
    assert_eq!(bench.numbers(10), [3]);
    assert_eq!(bench.numbers(11), [1]);
    assert_eq!(bench.numbers(20), [2]);
    assert_eq!(bench.stage.poll_timeout(), None);
}

#[test]
fn packets_are_overtaken_by_their_own_flow_or_given_up() {
    let verdict = Verdict::Reorder {
        by: 2,
        within: 50 * MS,
    };
    let mut bench = Bench::new([on(Nth::Only(nth(1)), verdict)]);
    bench.send(0, &[1]);
    bench.send_flow(0, 2, &[9]);
    bench.send(0, &[2]);
    bench.send(0, &[3]);
    bench.send(0, &[4]);
    assert_eq!(bench.numbers(0), [9, 2, 3, 1, 4]);

    let mut bench = Bench::new([on(Nth::Only(nth(1)), verdict)]);
    bench.send(0, &[1]);
    bench.send(0, &[2]);
    assert_eq!(bench.numbers(49), [2]);
    assert_eq!(bench.stage.poll_timeout(), Some(bench.start + 50 * MS));
    assert_eq!(bench.numbers(50), [1]);
}

#[test]
fn duplicates_corruption_and_truncation() {
    let mut bench = Bench::new([on(Nth::Only(nth(1)), Verdict::Duplicate { copies: 2 })]);
    bench.send(0, &[1]);
    bench.send(0, &[2]);
    assert_eq!(bench.numbers(0), [1, 1, 1, 2]);

    let mut bench = Bench::new([Rule::new(Matcher::ALL, Verdict::Truncate { to: 2 })]);
    bench.send(0, &[1, 2, 3]);
    bench.send(0, &[1]);
    assert_eq!(bench.arrived(0), [vec![1, 2], vec![1]]);

    let mut bench = Bench::new([Rule::new(Matcher::ALL, Verdict::Corrupt { bytes: 3 })]);
    for length in [0, 2, 3, 200] {
        bench.send(0, &vec![0; length]);
        let arrived = bench.arrived(0).remove(0);
        let wrong: Vec<&u8> = arrived.iter().filter(|byte| **byte != 0).collect();
        assert_eq!(wrong.len(), length.min(3));
        assert!(wrong.iter().all(|byte| byte.count_ones() == 1));
    }
}

#[test]
fn rules_are_read_from_text() {
    let text = r#"{ "match": { "plane": "data", "nth": { "every": 3 }, "at_least": 1200 },
                    "verdict": { "delay": "20ms" } }"#;
    let rule: Rule = serde_json::from_str(text).unwrap();
    let matcher = Matcher {
        at_least: 1_200,
        nth: Some(Nth::Every(nth(3))),
        ..Matcher::plane(Plane::Data)
    };
    assert_eq!(rule, Rule::new(matcher, Verdict::Delay(20 * MS)));
    let all: Rule = serde_json::from_str(r#"{"verdict":"drop"}"#).unwrap();
    assert_eq!(all, Rule::new(Matcher::ALL, Verdict::Drop));
    for bad in [
        r#"{}"#,
        r#"{"verdict":"explode"}"#,
        r#"{"match":{"nth":{"every":0}},"verdict":"drop"}"#,
        r#"{"match":{"port":1},"verdict":"drop"}"#,
    ] {
        assert!(serde_json::from_str::<Rule>(bad).is_err(), "{bad}");
    }
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Pass),
        Just(Verdict::Drop),
        (0..30_u32).prop_map(|ms| Verdict::Delay(ms * MS)),
        (0..3_u8).prop_map(|copies| Verdict::Duplicate { copies }),
        (0..4_u32, 0..30_u32).prop_map(|(by, ms)| Verdict::Reorder {
            by,
            within: ms * MS
        }),
        (0..4_u16).prop_map(|bytes| Verdict::Corrupt { bytes }),
        (0..4_usize).prop_map(|to| Verdict::Truncate { to }),
    ]
}

proptest! {
    /// Nothing is made up and nothing is forgotten, and equal seeds do equal things.
    #[test]
    fn packets_are_conserved(
        seed: u64,
        rules in prop::collection::vec((any_verdict(), 0..=1000_u16), 0..4),
        times in prop::collection::vec(0..5_u32, 0..60),
    ) {
        let run = || {
            let mut bench = Bench::new([]);
            bench.rules = Rules::new(seed);
            for (verdict, share) in &rules {
                let matcher = Matcher::share(Probability::permille(*share));
                bench.rules.add(Rule::new(matcher, *verdict));
            }
            let mut out = Vec::new();
            let mut at = 0;
            for (number, pause) in times.iter().enumerate() {
                at += pause;
                bench.send_flow(at, number as u64 % 2, &[number as u8; 3]);
                out.extend(bench.arrived(at));
                let RuleCounters { arrived, copied, dropped, passed } = bench.stage.counters();
                assert_eq!(arrived + copied, dropped + passed + bench.stage.held() as u64);
            }
            out.extend(bench.arrived(at + 30));
            assert_eq!(bench.stage.held(), 0);
            assert_eq!(bench.stage.counters().passed, out.len() as u64);
            out
        };
        prop_assert_eq!(run(), run());
    }
}

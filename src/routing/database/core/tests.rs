//! Links and their changes.

use proptest::prelude::*;

use crate::routing::database::testing::*;
use crate::routing::*;
use crate::wire::*;

#[test]
fn the_first_up_is_told_at_once_and_a_rush_together() {
    let mut bench = Bench::new(settings(1));
    bench.pass(ms(500)).up(2);
    assert_eq!(bench.told_links(2).unwrap().neighbors.len(), 1);
    assert!(matches!(
        bench.messages(2).last(),
        Some(ControlMessage::Digest(_))
    ));
    bench.up(3).up(4);
    assert_eq!(bench.told_links(3), None);
    bench.pass(ms(100));
    assert_eq!(bench.told_links(3).unwrap().neighbors.len(), 3);
    assert_eq!(bench.sent(4).len(), 1, "three links, one advertisement");
}

#[test]
fn down_floods_at_once_and_up_after_a_flap_is_held() {
    let mut bench = triangle();
    bench.down(2);
    assert_eq!(bench.told_links(3).unwrap().neighbors.len(), 1);
    assert!(bench.outputs.contains(&Output::TopologyChanged));
    bench.up(2);
    assert_eq!(bench.told_links(3), None);
    assert!(
        bench
            .core
            .adjacencies()
            .any(|adjacency| adjacency.held_until.is_some())
    );
    bench.pass(ms(999));
    assert_eq!(bench.told_links(3), None);
    bench.pass(ms(1));
    assert_eq!(bench.told_links(3).unwrap().neighbors.len(), 2);
}

#[test]
fn a_link_that_replaces_a_live_one_was_never_down() {
    let mut bench = Bench::new(settings(1));
    assert!(!bench.core.is_linked(id(2)));
    assert!(bench.up(2).core.is_linked(id(2)));
    assert!(bench.up(2).core.is_linked(id(2)));
    assert!(!bench.down(2).core.is_linked(id(2)));
}

#[test]
fn changes_of_metrics_are_batched_and_small_ones_untold() {
    let mut bench = pair();
    bench.on(|core, now| core.handle_link_metrics(now, id(2), 1_100, 1_400));
    bench.pass(secs(2));
    assert_eq!(bench.told_links(3), None);
    bench.on(|core, now| core.handle_link_metrics(now, id(2), 4_000, 1_400));
    assert!(bench.told_links(3).is_some(), "the last was a second ago");
    bench.on(|core, now| core.handle_link_metrics(now, id(2), 8_000, 1_400));
    bench.on(|core, now| core.handle_link_metrics(now, id(3), 8_000, 1_400));
    assert_eq!(bench.told_links(3), None);
    bench.pass(secs(1));
    assert_eq!(bench.sent(3).len(), 1);
    let told = bench.told_links(3).unwrap();
    assert!(
        told.neighbors
            .iter()
            .all(|neighbor| neighbor.rtt_us() == 8_192)
    );
}

#[test]
fn no_transit_is_flagged_and_a_link_to_ourselves_is_a_duplicate() {
    let mut leaf = settings(1);
    leaf.transit = false;
    let mut bench = Bench::new(leaf);
    bench.up(2);
    assert!(bench.told_links(2).unwrap().flags.no_transit);
    bench.on(|core, now| {
        core.handle_link_up(
            now,
            LinkUp {
                neighbor: id(1),
                metrics: LinkMetrics {
                    cost: 1,
                    rtt_us: 0,
                    mtu: 0,
                },
                peer_epoch: 7,
            },
        );
    });
    assert!(bench.core.duplicate_identity());
}

#[derive(Clone, Debug)]
enum Step {
    Up(u8),
    Down(u8),
    Measure(u8, u64, u16),
    Links(u8, Vec<(u8, u64, u64, u64, u64)>),
    Routes(u8, u8, u64, u64, u16, u16),
    Digest(u8, Vec<u64>, Vec<u8>),
    Offer(u8, Vec<(u8, u16, u64, u64)>, Vec<u8>),
    Ask(u8, Vec<(u8, u16)>),
    Own(u8),
    Load(u32),
    Drain(bool),
    Trust,
    Pass(u64),
    Jump(i32),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 2_u8..5;
    let origin = 1_u8..6;
    let number = 0_u64..4;
    let stamped = (
        origin.clone(),
        990_u64..1_010,
        number.clone(),
        990_u64..1_010,
        990_u64..1_010,
    );
    let key = (origin.clone(), 0_u16..3, 990_u64..1_010, number.clone());
    prop_oneof![
        who.clone().prop_map(Step::Up),
        who.clone().prop_map(Step::Down),
        (who.clone(), any::<u64>(), any::<u16>()).prop_map(|(a, b, c)| Step::Measure(a, b, c)),
        (who.clone(), prop::collection::vec(stamped, 0..4)).prop_map(|(a, b)| Step::Links(a, b)),
        (
            who.clone(),
            origin,
            990_u64..1_010,
            number,
            0_u16..4,
            1_u16..5
        )
            .prop_map(|(a, b, c, d, e, f)| Step::Routes(a, b, c, d, e, f)),
        (
            who.clone(),
            prop_oneof![
                Just(vec![0; 256]),
                prop::collection::vec(any::<u64>(), 0..9)
            ],
            prop::collection::vec(any::<u8>(), 0..300)
        )
            .prop_map(|(a, b, c)| Step::Digest(a, b, c)),
        (
            who.clone(),
            prop::collection::vec(key, 0..9),
            prop::collection::vec(any::<u8>(), 0..9)
        )
            .prop_map(|(a, b, c)| Step::Offer(a, b, c)),
        (who, prop::collection::vec((1_u8..6, 0_u16..3), 0..9)).prop_map(|(a, b)| Step::Ask(a, b)),
        any::<u8>().prop_map(Step::Own),
        any::<u32>().prop_map(Step::Load),
        any::<bool>().prop_map(Step::Drain),
        Just(Step::Trust),
        (0_u64..400_000).prop_map(Step::Pass),
        any::<i32>().prop_map(Step::Jump),
    ]
}

fn object_key(origin: u8, fragment: u16, epoch: u64, sequence: u64) -> ObjectKey {
    ObjectKey {
        origin: id(origin),
        kind: ObjectKind::Route,
        fragment,
        version: Version {
            epoch,
            sequence,
            check: 0,
        },
    }
}

fn take(bench: &mut Bench, step: Step) {
    match step {
        Step::Up(who) => bench.up(who),
        Step::Down(who) => bench.down(who),
        Step::Measure(who, rtt, mtu) => {
            bench.on(|core, now| core.handle_link_metrics(now, id(who), rtt, mtu))
        }
        Step::Links(who, stamps) => {
            let issued_at_ms = bench.now.unix_ms;
            let advs = stamps
                .into_iter()
                .map(|(origin, epoch, sequence, incarnation, answers)| {
                    link(Stamp {
                        issued_at_ms,
                        incarnation,
                        answers,
                        ..stamp(origin, epoch, sequence)
                    })
                });
            bench.hear(who, flood(advs))
        }
        Step::Routes(who, origin, epoch, sequence, fragment, fragments) => {
            let issued_at_ms = bench.now.unix_ms;
            let stamp = Stamp {
                issued_at_ms,
                ..stamp(origin, epoch, sequence)
            };
            let adv = route(stamp, fragment % fragments, fragments, &["10.0.0.0/8"]);
            bench.hear(who, flood([Advertisement::Route(adv)]))
        }
        Step::Digest(who, buckets, reach) => {
            let reach = reach.into();
            bench.hear(who, ControlMessage::Digest(Digest { buckets, reach }))
        }
        Step::Offer(who, keys, reach) => {
            let keys = keys.into_iter();
            let summary = BucketSummary {
                objects: keys.map(|(o, f, e, s)| object_key(o, f, e, s)).collect(),
                reach: reach.into(),
            };
            bench.hear(who, ControlMessage::BucketSummary(summary))
        }
        Step::Ask(who, keys) => {
            let keys = keys.into_iter();
            let objects = keys
                .map(|(origin, f)| object_key(origin, f, 0, 0))
                .collect();
            bench.hear(who, ControlMessage::Request(Request { objects }))
        }
        Step::Own(number) => {
            let text = format!("10.{number}.0.0/16");
            bench.on(|core, now| core.handle_routes(now, routes(&[&text])))
        }
        Step::Load(streams) => bench.on(|core, now| core.handle_load(now, streams)),
        Step::Drain(draining) => bench.on(|core, now| core.handle_draining(now, draining)),
        Step::Trust => bench.on(|core, now| core.handle_trust_changed(now)),
        Step::Pass(time) => bench.pass(ms(time)),
        Step::Jump(by) => {
            bench.now.unix_ms = bench.now.unix_ms.saturating_add_signed(by.into());
            bench
        }
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever happens in whatever order: no panic, no busy timer, the accounts balance.
    #[test]
    fn any_sequence_of_events_leaves_a_sound_core(
        steps in prop::collection::vec(step(), 1..60),
        stops in any::<bool>(),
    ) {
        let mut bench = Bench::new(settings(1));
        for step in steps {
            take(&mut bench, step);
            prop_assert!(bench.core.poll_timeout().is_some());
            prop_assert!(bench.core.link_adv(id(1)).is_some());
            prop_assert!(bench.core.link_advs().count() <= 6);
        }
        if stops {
            bench.on(|core, now| core.handle_shutdown(now));
            // Past every jump of the clock.
            bench.now.unix_ms = 2 * GENESIS_MS;
            bench.pass(secs(700));
            prop_assert_eq!(bench.core.origins().count(), 0);
            prop_assert_eq!(bench.core.database_bytes(), 0);
        }
    }
}

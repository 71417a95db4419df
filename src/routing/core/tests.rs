//! Links and their changes.

use crate::routing::testing::*;
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
    let mut bench = pair();
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

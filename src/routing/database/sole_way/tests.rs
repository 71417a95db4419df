use std::time::Duration;

use crate::routing::database::testing::*;
use crate::wire::{Advertisement, LinkAdv};

fn say(bench: &mut Bench, from: u8, adv: LinkAdv) {
    bench.hear(from, flood([Advertisement::Link(adv)]));
}

/// Agent 1 linked with 2 and 3, which are linked with each other by way of 4.
fn ring() -> Bench {
    let mut bench = pair();
    for (origin, neighbors) in [(2, [1, 4]), (3, [1, 4]), (4, [2, 3])] {
        let adv = links(&bench, origin, 1, &neighbors);
        say(&mut bench, 3, adv);
    }
    bench
}

fn is_told(bench: &Bench) -> bool {
    let own = bench.core.link_adv(id(1)).unwrap();
    own.neighbors.iter().any(|neighbor| neighbor.id == id(2))
}

/// Milliseconds from the link's return until it is told.
fn wait(bench: &mut Bench) -> u64 {
    bench.up(2);
    // The longest hold.
    (0..=60_000)
        .find(|_| {
            let told = is_told(bench);
            bench.pass(ms(1));
            told
        })
        .expect("told after 60 s at the latest")
}

#[test]
fn a_link_with_a_way_around_is_held_as_ever() {
    let mut bench = ring();
    for hold in [1_000, 2_000, 4_000] {
        bench.down(2);
        assert!(!is_told(&bench), "down is told at once");
        assert_eq!(wait(&mut bench), hold);
    }
}

#[test]
fn the_only_way_is_told_at_once_and_then_once_a_second() {
    let mut bench = pair();
    let mut waits = Vec::new();
    for _ in 0..5 {
        bench.down(2);
        waits.push(wait(&mut bench));
    }
    assert!(waits[0] <= 100, "{waits:?}");
    assert_eq!(waits[1..], [1_000; 4]);
    // Forgiven like any other.
    bench.pass(Duration::from_secs(60 * 8));
    bench.down(2);
    assert!(wait(&mut bench) <= 100);
}

#[test]
fn a_way_that_one_end_denies_or_that_leads_over_no_transit_is_none() {
    for change in [0, 1, 2] {
        let mut bench = ring();
        let adv = match change {
            0 => links(&bench, 4, 2, &[2]),
            1 => links(&bench, 3, 2, &[1]),
            _ => {
                let mut adv = links(&bench, 4, 2, &[2, 3]);
                adv.flags.no_transit = true;
                adv
            }
        };
        say(&mut bench, 3, adv);
        bench.down(2);
        assert!(wait(&mut bench) <= 100, "{change}");
    }
}

#[test]
fn a_way_that_is_longer_than_may_be_used_is_none() {
    for (max_hops, is_way) in [(3, true), (2, false)] {
        let mut bench = ring();
        bench.core.settings.max_hops = max_hops;
        bench.down(2);
        assert_eq!(wait(&mut bench) == 1_000, is_way, "{max_hops}");
    }
}

/// The ends of a link go by both ends' limits, so that neither waits for the other.
#[test]
fn a_way_that_one_end_may_not_use_is_none_at_either_end() {
    for (own, other, is_way) in [(8, 8, true), (8, 2, false), (2, 8, false)] {
        let mut bench = ring();
        bench.core.settings.max_hops = own;
        let mut adv = links(&bench, 2, 2, &[1, 4]);
        adv.stamp.max_hops = other;
        say(&mut bench, 3, adv);
        bench.down(2);
        assert_eq!(wait(&mut bench) == 1_000, is_way, "{own} {other}");
    }
}

/// The agent beside one end may be used from there, and is too far from the other one.
#[test]
fn a_way_past_an_agent_that_only_one_end_may_use_is_none_at_either_end() {
    for (limited, beside) in [(3, [1, 4]), (4, [2, 3])] {
        let mut bench = ring();
        bench.down(2);
        let mut adv = links(&bench, limited, 2, &beside);
        adv.stamp.max_hops = 2;
        say(&mut bench, 3, adv);
        assert!(wait(&mut bench) <= 100, "{limited}");
    }
}

#[test]
fn a_longer_way_counts_beside_a_shorter_one_that_one_end_may_not_use() {
    // 1 - 3 - 4 - 2, and 1 - 3 - 5 - 6 - 2 past nobody with a limit.
    let mut bench = ring();
    let mut limited = links(&bench, 4, 2, &[2, 3]);
    limited.stamp.max_hops = 2;
    say(&mut bench, 3, limited);
    for (origin, neighbors) in [
        (2, vec![1, 4, 6]),
        (3, vec![1, 4, 5]),
        (5, vec![3, 6]),
        (6, vec![5, 2]),
    ] {
        let adv = links(&bench, origin, 2, &neighbors);
        say(&mut bench, 3, adv);
    }
    bench.down(2);
    assert_eq!(wait(&mut bench), 1_000);
}

#[test]
fn a_way_too_narrow_for_packets_is_none() {
    for (mtu, is_way) in [(1_400, true), (1_100, false)] {
        let mut bench = ring();
        let mut adv = links(&bench, 4, 2, &[2, 3]);
        adv.neighbors[0].mtu = mtu;
        say(&mut bench, 3, adv);
        bench.down(2);
        assert_eq!(wait(&mut bench) == 1_000, is_way, "{mtu}");
    }
}

#[test]
fn many_links_that_return_together_cost_one_look() {
    let mut bench = Bench::new(settings(1));
    let leaves = 2..=200;
    for leaf in leaves.clone() {
        bench.up(leaf);
        let adv = links(&bench, leaf, 1, &[1]);
        say(&mut bench, leaf, adv);
    }
    bench.pass(secs(1));
    for leaf in leaves.clone() {
        bench.down(leaf);
    }
    for leaf in leaves.clone() {
        bench.up(leaf);
    }
    let returned = bench.now.instant;
    assert_eq!(bench.core.sole_ways_seen, None);
    bench.pass(ms(100));
    assert_eq!(bench.core.sole_ways_seen, Some(returned));
    let own = bench.core.link_adv(id(1)).unwrap();
    assert_eq!(own.neighbors.len(), leaves.count());
}

#[test]
fn a_flood_of_changes_costs_a_look_in_100_ms() {
    let mut bench = ring();
    bench.down(2).up(2).pass(ms(1));
    let mut seen = vec![bench.core.sole_ways_seen.unwrap()];
    for sequence in 2..352 {
        let neighbors: &[u8] = if sequence % 2 == 0 {
            &[2, 3, 5]
        } else {
            &[2, 3]
        };
        let adv = links(&bench, 4, sequence, neighbors);
        say(&mut bench, 3, adv);
        bench.pass(ms(1));
        seen.extend(bench.core.sole_ways_seen);
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "{seen:?}");
}

#[test]
fn a_hold_ends_when_the_way_around_does() {
    // Our own other link goes down.
    let mut bench = ring();
    bench.down(2).up(2).pass(ms(300));
    assert!(!is_told(&bench));
    bench.down(3).pass(ms(100));
    assert!(is_told(&bench));
    // A link elsewhere does.
    let mut bench = ring();
    bench.down(2).up(2).pass(ms(300));
    let adv = links(&bench, 4, 2, &[2]);
    say(&mut bench, 3, adv);
    bench.pass(ms(200));
    assert!(is_told(&bench));
}

//! Clocks that are set, or differ.

use super::*;

#[test]
fn a_clock_that_is_set_takes_nothing_away_before_its_time() {
    // Set back, it may be younger than it looked, and as young as one dated 120 s ahead.
    for (by_ms, lasts) in [(3_600_000, 420), (-3_600_000, 540)] {
        let mut bench = pair();
        bench.hear(2, flood([link(stamp(9, 5, 1))]));
        bench.now.unix_ms = bench.now.unix_ms.saturating_add_signed(by_ms);
        bench.on(|core, now| core.handle_timeout(now));
        bench.pass(secs(lasts - 2));
        assert!(known(&bench, 9), "{by_ms}");
        bench.pass(secs(2));
        assert!(!known(&bench, 9), "{by_ms}");
    }
    // Nor does a date ahead buy it time.
    let mut bench = pair();
    let ahead = Stamp {
        issued_at_ms: GENESIS_MS + 120_000,
        ..stamp(9, 5, 1)
    };
    bench.hear(2, flood([link(ahead)]));
    bench.now.unix_ms -= 3_600_000;
    bench.pass(secs(300 + 2 * 120));
    assert!(!known(&bench, 9));
}

/// An exit (9) dies, and its only neighbour (4), whose clock is off by then, says so in vain.
#[test]
fn a_link_is_believed_until_the_old_word_of_a_skewed_end_runs_out() {
    let mut bench = pair();
    for (origin, neighbors) in [(4, &[2, 9][..]), (9, &[4])] {
        let adv = links(&bench, origin, 1, neighbors);
        bench.hear(2, flood([Advertisement::Link(adv)]));
    }
    let tells_of_exit = |bench: &Bench| {
        let adv = bench.core.link_adv(id(4));
        adv.is_some_and(|adv| adv.neighbors.iter().any(|neighbor| neighbor.id == id(9)))
    };
    let mut news = links(&bench, 4, 2, &[2]);
    news.stamp.issued_at_ms += 130_000;
    bench.hear(2, flood([Advertisement::Link(news)]));
    assert_eq!(count(&bench, AdvResult::FutureDated), 1);
    assert!(tells_of_exit(&bench));
    bench.pass(secs(419));
    assert!(tells_of_exit(&bench));
    bench.pass(secs(61));
    assert!(!tells_of_exit(&bench));
}

#[test]
fn an_origin_that_lives_in_the_past_is_told_of() {
    let past = |origin| {
        let issued_at_ms = GENESIS_MS - 3_600_000;
        flood([link(Stamp {
            issued_at_ms,
            ..stamp(origin, 5, 1)
        })])
    };
    let mut bench = pair();
    // Perhaps it was long on its way.
    bench.hear(2, past(9));
    assert!(bench.outputs.is_empty(), "{:?}", bench.outputs);
    bench.hear(2, past(2));
    let skew = Alarm::ClockSkew {
        origin: id(2),
        ahead_ms: -3_601_000,
    };
    let text = skew.to_string();
    assert!(
        text.contains("3601000 ms behind this host's clock"),
        "{text}"
    );
    assert_eq!(bench.outputs, [Output::Alarm(skew)]);
    assert_eq!(count(&bench, AdvResult::Expired), 2);
}

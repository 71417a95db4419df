//! What we say of ourselves.

use crate::identity::MAX_EPOCH_AHEAD_MS;
use crate::routing::database::testing::*;
use crate::routing::*;
use crate::wire::bounds::MAX_VERSION;
use crate::wire::*;

#[test]
fn grants_bind_others_and_ourselves() {
    let grants = "warren:route:10.0.0.0/8 warren:domain:*.corp.example";
    let bytes = certificate(id(9), u64::MAX, true, grants);
    let certificate_bytes = CertificateBytes::new(&bytes);
    let mut bench = pair();
    for (prefix, result) in [
        ("192.168.0.0/16", AdvResult::NotGranted),
        ("10.1.0.0/16", AdvResult::Accepted),
    ] {
        let certificate_hash = *certificate_bytes.hash();
        let stamp = Stamp {
            certificate_hash,
            ..stamp(9, 5, 1)
        };
        bench.hear(
            2,
            ControlMessage::Flood(Flood {
                certificates: vec![certificate_bytes.clone()],
                advertisements: vec![envelope(
                    signed(Advertisement::Route(route(stamp, 0, 1, &[prefix]))),
                    0,
                )],
            }),
        );
        assert_eq!(count(&bench, result), 1, "{prefix}");
    }
    let mut own = Bench::certified(settings(9), bytes);
    own.up(2).on(|core, now| {
        core.handle_routes(
            now,
            OwnRoutes {
                domains: ["a.corp.example", "b.example"]
                    .map(|text| text.parse().unwrap())
                    .into(),
                ..routes(&["10.1.0.0/16", "8.8.8.0/24"])
            },
        );
    });
    let [told] = &own.told_routes(2)[..] else {
        panic!("one fragment")
    };
    assert_eq!(told.prefixes.len(), 1);
    assert_eq!(told.domains, ["a.corp.example"]);
    for route in ["8.8.8.0/24", "b.example"] {
        let route = route.to_owned();
        assert!(
            own.outputs
                .contains(&Output::Alarm(Alarm::RouteNotGranted { route }))
        );
    }
}

#[test]
fn routes_go_in_fragments_of_which_only_changed_ones_go_again() {
    let mut bench = pair();
    let prefixes: Vec<String> = (0..1_200)
        .map(|i| format!("10.{}.{}.0/24", i / 256, i % 256))
        .collect();
    let texts: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    bench.on(|core, now| core.handle_routes(now, routes(&texts)));
    let sizes: Vec<_> = bench
        .told_routes(2)
        .iter()
        .map(|route| route.prefixes.len())
        .collect();
    assert_eq!(sizes, [512, 512, 176]);
    assert!(bench.outputs.contains(&Output::RoutesChanged));
    bench.on(|core, now| core.handle_routes(now, routes(&texts[..1_199])));
    assert!(bench.sent(2).is_empty(), "at most once a second");
    bench.pass(secs(1));
    assert_eq!(bench.told_routes(2).len(), 1);
    bench.on(|core, now| core.handle_routes(now, routes(&texts[..1_024])));
    bench.pass(secs(1));
    let told = bench.told_routes(2);
    assert_eq!((told.len(), told[0].fragment, told[0].fragments), (1, 0, 2));
    assert_eq!(bench.core.route_advs().count(), 2);
    bench
        .on(|core, now| core.handle_load(now, 100))
        .pass(secs(5));
    assert_eq!(bench.told_routes(2).len(), 1, "load is fragment 0's");
    bench
        .on(|core, now| core.handle_routes(now, OwnRoutes::default()))
        .pass(secs(1));
    let told = bench.told_routes(2);
    assert!(told.len() == 1 && told[0].prefixes.is_empty(), "withdrawn");
}

#[test]
fn own_advertisements_are_refreshed_and_survive_clock_jumps() {
    let mut bench = pair();
    bench.on(|core, now| core.handle_routes(now, routes(&["10.0.0.0/8"])));
    bench.pass(secs(118));
    assert!(bench.sent(2).is_empty());
    bench.pass(secs(1));
    assert_eq!(bench.sent(2).len(), 2);
}

#[test]
fn a_clock_that_was_set_is_noticed_and_everything_said_and_compared_again() {
    for (by_ms, is_set) in [
        (3_600_000, true),
        (-3_600_000, true),
        (60_000, true),
        (59_999, false),
        (-59_999, false),
    ] {
        let mut bench = pair();
        bench.on(|core, now| core.handle_routes(now, routes(&["10.0.0.0/8"])));
        bench.pass(secs(1));
        bench.now.unix_ms = bench.now.unix_ms.saturating_add_signed(by_ms);
        bench.on(|core, now| core.handle_timeout(now));
        let alarm = Output::Alarm(Alarm::ClockSet { ahead_ms: by_ms });
        assert_eq!(bench.outputs.contains(&alarm), is_set, "{by_ms}");
        for neighbor in [2, 3] {
            let sent = bench.sent(neighbor);
            assert_eq!(sent.len(), if is_set { 2 } else { 0 }, "{by_ms}");
            let digest = |message: &ControlMessage| matches!(message, ControlMessage::Digest(_));
            assert_eq!(bench.messages(neighbor).any(digest), is_set, "{by_ms}");
        }
        // Once; and no more often than once a second, however often it is set.
        bench.on(|core, now| core.handle_timeout(now));
        assert!(bench.outputs.is_empty(), "{:?}", bench.outputs);
        bench.now.unix_ms += 3_600_000;
        bench.on(|core, now| core.handle_timeout(now));
        assert_eq!(bench.outputs.is_empty(), is_set);
    }
}

/// Seconds for which an advertisement of `age` counts if this host's clock is `ahead` of the true
/// time when it comes, and is set back 5 s later, by `back`.
fn outlives(age: u64, ahead: u64, back: u64) -> u64 {
    let mut bench = pair();
    let issued_at_ms = bench.now.unix_ms - age * 1_000;
    bench.now.unix_ms += ahead * 1_000;
    bench.on(|core, now| core.handle_timeout(now));
    let dated = Stamp {
        issued_at_ms,
        ..stamp(9, 5, 1)
    };
    bench.hear(2, flood([link(dated)]));
    assert!(known(&bench, 9));
    bench.pass(secs(5));
    bench.now.unix_ms -= back * 1_000;
    bench.on(|core, now| core.handle_timeout(now));
    (5..2_000)
        .find(|_| {
            bench.pass(secs(1));
            !known(&bench, 9)
        })
        .expect("nothing counts for ever")
}

#[test]
fn a_clock_that_is_put_right_takes_nothing_away_and_keeps_nothing_dead() {
    // Its lifetime of 300 s and the slack of 120 s, from when it was issued.
    let right = outlives(10, 350, 350);
    assert!((400..=420).contains(&right), "{right}");
    // Wrongly set back by an hour: no longer than one that comes dated 120 s ahead.
    let wrong = outlives(10, 0, 3_600);
    assert!((530..=540).contains(&wrong), "{wrong}");
    // What was believed is never taken away.
    let never = outlives(10, 0, 0);
    assert!((400..=420).contains(&never), "{never}");
}

#[test]
fn our_own_future_is_moved_past_at_most_once_a_second() {
    let mut bench = pair();
    bench.hear(2, flood([link(stamp(1, 9_000, 7))]));
    assert_eq!(count(&bench, AdvResult::Contested), 1);
    assert!(bench.outputs.contains(&Output::EpochAdvanced(9_001)));
    let told = bench.told_links(2).unwrap().stamp;
    assert_eq!(
        (told.epoch, told.incarnation, told.answers),
        (9_001, 1_000, 9_000)
    );
    bench.hear(2, flood([link(stamp(1, 9_500, 1))]));
    assert_eq!(bench.core.epoch(), 9_001);
    bench.pass(secs(1));
    assert_eq!(bench.core.epoch(), 9_501);
    assert!(
        !bench.core.duplicate_identity(),
        "they may be a dead process's"
    );
}

#[test]
fn the_largest_epoch_that_is_believed_is_moved_past_too() {
    let mut bench = pair();
    let largest = bench.now.unix_ms + MAX_EPOCH_AHEAD_MS;
    bench.hear(2, flood([link(stamp(1, largest + 1, 1))]));
    assert_eq!(count(&bench, AdvResult::FutureDated), 1);
    let stolen = link(stamp(1, largest, MAX_VERSION));
    bench.hear(2, flood([stolen.clone()]));
    let told = bench.sent(3);
    assert_eq!(bench.core.epoch(), largest + 1);
    let mut other = Bench::new(settings(3));
    other.up(1).pass(secs(1));
    other.hear(1, flood([stolen]));
    assert!(known(&other, 1), "the thief is believed");
    // The other's clock is behind.
    other.now.unix_ms -= 100_000;
    let hear_again = |other: &mut Bench| {
        other.hear(
            1,
            ControlMessage::Flood(Flood {
                certificates: vec![],
                advertisements: told.clone(),
            }),
        );
        other.core.link_adv(id(1)).unwrap().stamp.epoch
    };
    assert_eq!(hear_again(&mut other), largest);
    other.pass(ms(100_001));
    assert_eq!(hear_again(&mut other), largest + 1, "and no longer");
}

#[test]
fn the_older_of_two_living_processes_falls_silent_and_speaks_again() {
    let mut bench = pair();
    let answer = |epoch| Stamp {
        incarnation: 2_000,
        answers: 1_000,
        ..stamp(1, epoch, 1)
    };
    bench.hear(2, flood([link(answer(2_001))]));
    assert!(bench.core.is_silenced() && bench.core.duplicate_identity());
    let alarm = Alarm::DuplicateIdentity {
        other: 2_000,
        yielded: true,
    };
    assert!(bench.outputs.contains(&Output::Alarm(alarm)));
    assert_eq!(bench.sent(3).len(), 1, "the newer one's words travel on");
    assert_eq!(
        bench.core.link_adv(id(1)).unwrap().neighbors.len(),
        2,
        "our own view stays"
    );
    bench.down(2);
    assert!(bench.sent(3).is_empty());
    bench.pass(secs(300 + 120 + 61));
    assert!(!bench.core.is_silenced());
    let told = bench.told_links(3).unwrap();
    assert_eq!((told.stamp.epoch, told.neighbors.len()), (2_002, 1));
}

#[test]
fn the_newer_of_two_living_processes_goes_on_with_an_alarm() {
    let mut bench = pair();
    let older = Stamp {
        incarnation: 500,
        answers: 1_000,
        ..stamp(1, 1_001, 1)
    };
    bench.hear(2, flood([link(older)]));
    assert!(bench.core.duplicate_identity() && !bench.core.is_silenced());
    assert_eq!(bench.told_links(3).unwrap().stamp.answers, 500);
    bench.pass(secs(300 + 120 + 61));
    assert!(!bench.core.duplicate_identity(), "it was not heard again");
}

#[test]
fn draining_and_shutdown_are_told() {
    let mut bench = pair();
    bench.on(|core, now| core.handle_routes(now, routes(&["10.0.0.0/8"])));
    bench.on(|core, now| core.handle_draining(now, true));
    assert!(bench.told_links(2).unwrap().flags.draining);
    bench.on(|core, now| core.handle_shutdown(now));
    assert!(bench.told_links(2).unwrap().neighbors.is_empty());
    assert!(bench.told_routes(2)[0].prefixes.is_empty());
    bench.down(2).pass(secs(600));
    assert!(bench.sent(3).is_empty(), "nothing is issued afterwards");
}

#[test]
fn what_a_distrusted_certificate_proves_is_dropped_and_nothing_else() {
    let mut bench = pair();
    bench.hear(2, flood([link(stamp(8, 5, 1)), link(stamp(9, 5, 1))]));
    bench.on(|core, now| core.handle_trust_changed(now));
    assert!(known(&bench, 8) && known(&bench, 9), "nothing changed");
    bench.core.authority.distrusted.insert(id(9));
    bench.on(|core, now| core.handle_trust_changed(now));
    assert!(known(&bench, 8) && !known(&bench, 9));
    // It does not come back.
    bench.hear(2, flood([link(stamp(9, 5, 2))]));
    assert!(!known(&bench, 9));
}

#[test]
fn a_changed_certificate_or_trust_takes_effect() {
    let mut bench = pair();
    bench.hear(2, flood([link(stamp(9, 5, 1))]));
    let bytes = certificate(id(1), u64::MAX - 1, true, "");
    bench.core.authority.certificate = bytes.clone();
    bench.on(|core, now| core.handle_trust_changed(now));
    let certificate = CertificateBytes::new(&bytes);
    assert!(
        bench
            .floods(2)
            .any(|flood| flood.certificates.contains(&certificate))
    );
    assert_eq!(bench.core.certificate_of(id(1)), Some(&certificate));
    assert!(known(&bench, 9), "still trusted");
}

#[test]
fn hundreds_of_links_that_die_at_a_time_are_told_in_few_advertisements() {
    let mut bench = Bench::new(settings(1));
    for neighbor in 2..=250 {
        bench.up(neighbor);
    }
    bench.pass(secs(1));
    let mut told = 0;
    for neighbor in 3..=250 {
        bench.down(neighbor);
        told += bench.sent(2).len();
    }
    assert_eq!(told, 64, "the first ones at once");
    bench.pass(ms(100));
    let link = bench.told_links(2).unwrap();
    assert_eq!(link.neighbors.len(), 1, "and all that is left, soon after");
}

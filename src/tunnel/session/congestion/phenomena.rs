//! The controller against a bottleneck in virtual time: one test per phenomenon, with figures.

use std::time::Duration;

use super::bbr::Bbr;
use super::bottleneck::{Bottleneck, Line};
use super::control::{Control, PACKET};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// `wan` of `internal-chaos conditions`.
fn wan() -> Line {
    Line {
        jitter: 2 * MS,
        ..Line::new(100.0, 40, 1.0)
    }
}

fn congested() -> Line {
    Line {
        rate: 10.0,
        queue: 625_000,
        ..wan()
    }
}

fn satellite() -> Line {
    Line {
        queue: 1_500_000,
        ..Line::new(20.0, 600, 1.0)
    }
}

fn slow_4g() -> Line {
    Line {
        jitter: 20 * MS,
        queue: 65_536,
        ..Line::new(1.6, 150, 2.2)
    }
}

fn alone(line: Line) -> Bottleneck {
    let mut net = Bottleneck::new(line, 1);
    let now = net.now;
    net.add(Control::bbr(now));
    net
}

/// Mbit/s of a sender alone in the five seconds after the first two, and the part that it lost then.
fn settled(net: &mut Bottleneck) -> (f64, f64) {
    net.run(2 * SECOND);
    let (lost, sent) = (net.senders[0].lost, net.senders[0].sent);
    let got = net.run(5 * SECOND)[0];
    let sender = &net.senders[0];
    let part = (sender.lost - lost) as f64 / (sender.sent - sent) as f64;
    (got, part)
}

#[test]
fn startup_fills_the_path_within_ten_round_trips() {
    let mut net = alone(wan());
    net.run(400 * MS);
    let got = net.run(400 * MS)[0];
    assert!(got > 90.0, "{got} Mbit/s");
}

#[test]
fn single_losses_cost_what_they_lose() {
    let line = Line {
        loss: 0.01,
        ..wan()
    };
    let (got, _) = settled(&mut alone(line));
    assert!(got > 94.0, "{got} Mbit/s");
}

#[test]
fn losses_in_bursts_cost_what_they_lose() {
    let line = Line {
        bursts: Some((0.002, 0.05, 0.5)),
        ..wan()
    };
    let (got, _) = settled(&mut alone(line));
    assert!(got > 88.0, "{got} Mbit/s");
}

#[test]
fn a_deep_queue_stays_short() {
    let mut net = alone(congested());
    let (got, lost) = settled(&mut net);
    let (mean, most) = net.delay();
    assert!(got > 9.5 && lost == 0.0, "{got} Mbit/s, {lost} lost");
    assert!(mean < 20.0 && most < 40.0, "{mean} ms, {most} at most");
}

#[test]
fn a_narrow_line_with_jitter_has_a_quarter_of_a_round_trip_of_queue() {
    for seed in 1..=3 {
        let mut net = Bottleneck::new(slow_4g(), seed);
        let now = net.now;
        net.add(Control::bbr(now));
        net.run(2 * SECOND);
        let got = net.run(10 * SECOND)[0];
        let (mean, _) = net.delay();
        assert!(
            got > 1.55 && mean < 45.0,
            "{got} Mbit/s, {mean} ms, seed {seed}"
        );
    }
}

/// What a receiver may hold back while something is missing is 4 MiB, so that a startup which fills
/// the path and its queue and more costs not only what overflows.
#[test]
fn startup_on_a_long_path_ends_before_its_queue_overflows_for_long() {
    let mut net = alone(satellite());
    net.run(5 * SECOND);
    let got = net.run(5 * SECOND)[0];
    assert!(got > 17.0, "{got} Mbit/s");
    let sender = &net.senders[0];
    assert!(
        sender.lost * 70 < sender.sent,
        "{} of {}",
        sender.lost,
        sender.sent
    );
    let got = net.run(20 * SECOND)[0];
    assert!(got > 19.0, "{got} Mbit/s");
}

/// What a handshake measured is forgotten when the session takes its path: that costs no window.
#[test]
fn a_session_on_a_long_path_begins_no_slower_when_it_takes_its_path() {
    let got = |takes_its_path: bool| {
        let mut net = alone(satellite());
        net.senders[0].backlog = Some(3 * PACKET);
        net.run(650 * MS);
        if takes_its_path {
            let now = net.now;
            net.bbr(0).handle_path_change(now);
        }
        net.senders[0].backlog = None;
        net.run(8 * SECOND)[0]
    };
    let (kept, taken) = (got(false), got(true));
    assert!(taken > 0.97 * kept, "{taken} instead of {kept} Mbit/s");
}

#[test]
fn a_shallow_queue_is_not_flooded() {
    let line = Line {
        queue: 50_000,
        ..wan()
    };
    let (got, lost) = settled(&mut alone(line));
    assert!(got > 90.0 && lost < 0.03, "{got} Mbit/s, {lost} of it lost");
}

#[test]
fn a_policer_is_not_fought() {
    let line = Line {
        policer: Some((20.0, 100_000)),
        ..wan()
    };
    let (got, lost) = settled(&mut alone(line));
    assert!(got > 18.0 && lost < 0.10, "{got} Mbit/s, {lost} of it lost");
}

#[test]
fn acknowledgements_in_lumps_do_not_starve_the_path() {
    let line = Line {
        lumps: 20 * MS,
        ..wan()
    };
    let (got, _) = settled(&mut alone(line));
    assert!(got > 93.0, "{got} Mbit/s");
}

#[test]
fn a_short_path_is_filled_although_machines_are_slower_than_it() {
    let line = Line {
        queue: 524_288,
        ..Line::new(1_000.0, 1, 1.0)
    };
    let mut net = alone(line);
    net.run(500 * MS);
    let got = net.run(SECOND)[0];
    assert!(got > 950.0, "{got} Mbit/s");
}

#[test]
fn an_application_that_sends_little_teaches_nothing() {
    let mut net = alone(wan());
    net.run(2 * SECOND);
    // 2 KB every 50 ms for 20 s.
    net.senders[0].backlog = Some(0);
    for _ in 0..400 {
        net.senders[0].backlog = Some(2 * PACKET);
        net.run(50 * MS);
    }
    net.senders[0].backlog = None;
    net.run(100 * MS);
    let got = net.run(200 * MS)[0];
    assert!(got > 85.0, "{got} Mbit/s");
}

#[test]
fn after_a_long_pause_the_path_is_filled_at_once() {
    let mut net = alone(wan());
    net.run(2 * SECOND);
    net.senders[0].backlog = Some(0);
    net.run(30 * SECOND);
    net.senders[0].backlog = None;
    net.run(100 * MS);
    let got = net.run(200 * MS)[0];
    assert!(got > 85.0, "{got} Mbit/s");
}

#[test]
fn a_path_that_got_longer_unannounced_is_learned_again() {
    let mut net = alone(wan());
    net.run(5 * SECOND);
    net.line.rtt = 120 * MS;
    net.run(15 * SECOND);
    let got = net.run(3 * SECOND)[0];
    assert!(got > 85.0, "{got} Mbit/s");
}

#[test]
fn a_move_to_a_longer_path_is_learned_within_a_second() {
    let mut net = alone(wan());
    net.run(5 * SECOND);
    net.line.rtt = 120 * MS;
    let now = net.now;
    net.bbr(0).handle_path_change(now);
    net.run(SECOND);
    let got = net.run(SECOND)[0];
    assert!(got > 80.0, "{got} Mbit/s");
}

#[test]
fn a_move_to_a_slower_path_drains_its_queue() {
    let mut net = alone(wan());
    net.run(5 * SECOND);
    net.line = congested();
    let now = net.now;
    net.bbr(0).handle_path_change(now);
    net.run(4 * SECOND);
    let got = net.run(2 * SECOND)[0];
    let (mean, _) = net.delay();
    assert!(got > 9.0 && mean < 30.0, "{got} Mbit/s, {mean} ms");
}

#[test]
fn a_line_that_gets_slower_is_not_queued_on_for_long() {
    let mut net = alone(wan());
    net.run(5 * SECOND);
    net.line.rate = 30.0;
    net.run(5 * SECOND);
    let got = net.run(2 * SECOND)[0];
    let (mean, _) = net.delay();
    assert!(got > 27.0 && mean < 25.0, "{got} Mbit/s, {mean} ms");
}

#[test]
fn a_line_that_gets_faster_is_found() {
    let mut net = alone(congested());
    net.run(5 * SECOND);
    net.line = wan();
    net.run(3 * SECOND);
    let got = net.run(SECOND)[0];
    assert!(got > 85.0, "{got} Mbit/s");
}

#[test]
fn what_comes_of_a_doubted_path_teaches_nothing() {
    let mut net = alone(wan());
    net.run(3 * SECOND);
    let window = net.bbr(0).window();
    net.bbr(0).handle_doubt(true);
    let line = net.line;
    net.line.loss = 0.9;
    net.line.rtt = 5 * MS;
    net.run(300 * MS);
    let bbr = net.bbr(0);
    assert_eq!(bbr.window(), window);
    bbr.handle_persistent_congestion(crate::clock::now());
    assert_eq!(bbr.window(), window);
    net.bbr(0).handle_doubt(false);
    net.line = line;
    net.run(500 * MS);
    let got = net.run(SECOND)[0];
    assert!(got > 85.0, "{got} Mbit/s");
}

#[test]
fn persistent_congestion_begins_anew() {
    let now = crate::clock::now();
    let mut bbr = Bbr::new(now, PACKET);
    bbr.handle_sent(now, PACKET);
    bbr.handle_persistent_congestion(now);
    assert_eq!(bbr.window(), bbr.initial_window());
}

/// Mbit/s over half a minute of senders that began three seconds apart, twenty seconds before, on the
/// average of two runs. `b`: a session, `c`: CUBIC.
fn shares(line: Line, who: &str) -> Vec<f64> {
    let mut all = vec![0.0; who.len()];
    for seed in 1..=2 {
        let mut net = Bottleneck::new(line, seed);
        for sender in who.chars() {
            let now = net.now;
            net.add(match sender {
                'b' => Control::bbr(now),
                _ => Control::cubic(now),
            });
            net.run(3 * SECOND);
        }
        net.run(20 * SECOND);
        let got = net.run(30 * SECOND);
        all.iter_mut()
            .zip(got)
            .for_each(|(all, got)| *all += got / 2.0);
    }
    all
}

#[test]
fn two_sessions_and_a_session_beside_cubic_share_a_line() {
    for line in [wan(), congested(), slow_4g()] {
        for (who, least) in [("bb", 0.35), ("bc", 0.3), ("cb", 0.3)] {
            let shares = shares(line, who);
            let seen = shares[0].min(shares[1]) / line.rate;
            assert!(seen > least, "{who}: {shares:?}");
        }
    }
}

/// Cubic fills half a second of queue, which a window for the path without it gets a tenth of.
#[test]
fn a_session_that_cubic_joins_at_a_deep_queue_is_not_starved_meanwhile() {
    for seed in 1..=3 {
        let mut net = Bottleneck::new(congested(), seed);
        for control in [Control::bbr, Control::cubic] {
            let now = net.now;
            net.add(control(now));
            net.run(3 * SECOND);
        }
        let got = net.run(10 * SECOND);
        let share = got[0] / (got[0] + got[1]);
        assert!(share > 0.35, "{got:?}, seed {seed}");
    }
}

/// TCP of Linux, which leaves its slow start before the queue is full, lets it grow for ten seconds.
#[test]
fn a_session_beside_tcp_follows_the_queue_that_grows() {
    for (who, least) in [
        ([Control::bbr, Control::tcp], 0.35),
        ([Control::tcp, Control::bbr], 0.3),
    ] {
        for seed in 1..=3 {
            let mut net = Bottleneck::new(congested(), seed);
            for control in who {
                let now = net.now;
                net.add(control(now));
                net.run(3 * SECOND);
            }
            net.run(10 * SECOND);
            let got = net.run(30 * SECOND);
            let share = got[0].min(got[1]) / (got[0] + got[1]);
            assert!(share > least, "{got:?}, seed {seed}");
        }
    }
}

/// What filled a rival's queue with him would be a queue of our own.
#[test]
fn the_queue_goes_with_a_rival_that_leaves() {
    for control in [Control::cubic, Control::tcp] {
        let mut net = Bottleneck::new(congested(), 1);
        for control in [control, Control::bbr] {
            let now = net.now;
            net.add(control(now));
            net.run(3 * SECOND);
        }
        net.run(40 * SECOND);
        net.senders[0].backlog = Some(0);
        net.run(8 * SECOND);
        let got = net.run(5 * SECOND)[1];
        let (mean, most) = net.delay();
        assert!(
            got > 9.5 && mean < 20.0 && most < 40.0,
            "{got} Mbit/s, {mean} ms, {most} at most"
        );
    }
}

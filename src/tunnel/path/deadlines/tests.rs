use super::*;
use crate::config::Connections;

const MS: Duration = Duration::from_millis(1);
const SHORT: Duration = Duration::from_millis(1);

/// Silence until a path of that round trip is doubted, all packets sent at once.
fn silence(heartbeat: Duration, rtt: Duration) -> Duration {
    let timing = Timing::new(heartbeat);
    timing.quiet + timing.packet_wait(rtt)
}

#[test]
fn the_default_heartbeat_is_the_reference() {
    assert_eq!(Connections::default().heartbeat, REFERENCE);
    let wanted = Timing {
        quiet: 30 * MS,
        answer: 70 * MS,
        probe_answer: 150 * MS,
        slack: 50 * MS,
        busy: 200 * MS,
        verdict: 600 * MS,
    };
    assert_eq!(Timing::new(REFERENCE), wanted);
}

#[test]
fn a_path_is_no_shorter_than_its_links_say_if_they_are_long() {
    for (measured, advertised, wanted) in
        [(10, 199, 10), (10, 600, 600), (900, 600, 900), (40, 0, 40)]
    {
        assert_eq!(round_trip(measured * MS, advertised * MS), wanted * MS);
    }
}

#[test]
fn half_the_heartbeat_waits_about_half_as_long() {
    assert_eq!(silence(100 * MS, SHORT), 100 * MS);
    assert_eq!(silence(50 * MS, SHORT), 57 * MS);
    let timing = Timing::new(50 * MS);
    assert_eq!(timing.probe_wait(SHORT), 75 * MS);
    assert_eq!((timing.busy, timing.verdict), (100 * MS, 300 * MS));
}

#[test]
fn no_heartbeat_is_too_short_for_a_delayed_acknowledgement() {
    for heartbeat in [1, 10, 20, 35, 50, 99] {
        for rtt in [Duration::ZERO, SHORT, 40 * MS, 300 * MS] {
            let timing = Timing::new(heartbeat * MS);
            // 15 ms are left for agents that are late.
            assert!(timing.packet_wait(rtt) >= rtt + 25 * MS + 15 * MS);
            assert!(timing.probe_wait(rtt) >= rtt + 15 * MS);
            assert!(timing.verdict >= 3 * timing.busy);
        }
    }
}

#[test]
fn a_long_heartbeat_makes_no_session_slower() {
    for heartbeat in [101, 1_000, 10_000] {
        assert_eq!(Timing::new(heartbeat * MS), Timing::new(REFERENCE));
    }
}

#[test]
fn haste_wears_off_within_a_second() {
    for (age, wanted) in [(0, 20), (100, 20), (250, 50), (1_000, 200), (60_000, 200)] {
        assert_eq!(pace(age * MS), wanted * MS, "after {age} ms");
    }
}

#[test]
fn a_second_of_doubt_costs_a_third_of_constant_haste() {
    let (mut age, mut repeats) = (Duration::ZERO, 0);
    while age < Duration::from_secs(1) {
        age += pace(age);
        repeats += 1;
    }
    assert!((15..=18).contains(&repeats), "{repeats} repeats");
}

#[test]
fn a_deadline_passes_when_it_is_looked_at_in_time() {
    let (mut overdue, deadline) = (Overdue::default(), Instant::now() + 50 * MS);
    assert!(!overdue.judge(deadline - MS, deadline));
    assert!(overdue.judge(deadline + 3 * MS, deadline));
}

#[test]
fn a_deadline_that_we_slept_through_is_looked_at_again() {
    let (mut overdue, deadline) = (Overdue::default(), Instant::now() + 50 * MS);
    let late = deadline + 40 * MS;
    assert!(!overdue.judge(late, deadline));
    assert_eq!(overdue.due(deadline), late + EXCUSE);
    assert!(!overdue.judge(late + 19 * MS, deadline));
    assert!(overdue.judge(late + 20 * MS, deadline));
}

#[test]
fn an_excuse_is_for_one_deadline_and_not_for_the_next() {
    let (mut overdue, deadline) = (Overdue::default(), Instant::now() + 50 * MS);
    assert!(!overdue.judge(deadline + 40 * MS, deadline));
    let next = deadline + 45 * MS;
    assert_eq!(overdue.due(next), next);
    assert!(overdue.judge(next, next));
}

#[test]
fn being_late_twice_is_no_second_excuse() {
    let (mut overdue, deadline) = (Overdue::default(), Instant::now() + 50 * MS);
    assert!(!overdue.judge(deadline + 40 * MS, deadline));
    assert!(overdue.judge(deadline + 200 * MS, deadline));
}

#[test]
fn an_exit_out_of_sight_has_five_seconds() {
    let lost = Instant::now();
    assert_eq!(given_up_at(lost, None, SHORT), lost + 5_000 * MS);
    assert_eq!(given_up_at(lost, None, 600 * MS), lost + 7_200 * MS);
}

#[test]
fn one_that_others_lost_has_a_second_from_then_on() {
    let cut_off = Instant::now();
    let lost = cut_off + 200 * MS;
    let given_up = |rtt| given_up_at(lost, Some(cut_off), rtt);
    assert_eq!(given_up(SHORT), cut_off + 1_000 * MS);
    assert_eq!(given_up(600 * MS), cut_off + 3_600 * MS);
    // The last agent that lost it may have done so late.
    let late = lost + 4_500 * MS;
    assert_eq!(given_up_at(lost, Some(late), SHORT), lost + 5_000 * MS);
}

/// Packets that were proved and sent so many milliseconds after `start`.
fn traffic(start: Instant, proved: u32, unanswered: u32) -> Traffic {
    Traffic {
        proved: start + proved * MS,
        unanswered: Some(start + unanswered * MS),
        ..Traffic::idle(start)
    }
}

#[test]
fn a_packet_waits_for_its_answer_from_when_the_path_was_quiet() {
    let start = Instant::now();
    let far = 300 * MS;
    for (heartbeat, proved, unanswered, rtt, wanted) in [
        // The path was heard just now.
        (100, 0, 1, SHORT, 30 + 70),
        (50, 0, 1, SHORT, 15 + 42),
        // What leaves later is waited for from then on.
        (100, 0, 30, SHORT, 30 + 70),
        (50, 0, 40, SHORT, 40 + 42),
        (100, 0, 30, far, 30 + 650),
    ] {
        let traffic = traffic(start, proved, unanswered);
        let at = Timing::new(heartbeat * MS).unanswered_at(&traffic, rtt);
        assert_eq!(at, Some(start + wanted * MS), "heartbeat {heartbeat}");
    }
    let idle = Traffic::idle(start);
    assert_eq!(Timing::new(REFERENCE).unanswered_at(&idle, SHORT), None);
}

#[test]
fn a_delayed_acknowledgement_is_in_time_at_any_heartbeat() {
    let start = Instant::now();
    for heartbeat in [1, 10, 50] {
        let at = Timing::new(heartbeat * MS).unanswered_at(&traffic(start, 0, 1), SHORT);
        let answered = start + MS + SHORT + 25 * MS;
        assert!(at.unwrap() > answered + 15 * MS - MS);
    }
}

#[test]
fn a_request_may_last_until_nothing_is_left() {
    let now = Instant::now();
    let mut credit = Credit::new(now);
    assert_eq!(credit.spent_at(), None);
    assert!(credit.begin(now));
    assert_eq!(credit.spent_at(), Some(now + MOST_CREDIT - REQUEST));
    credit.end(now + 800 * MS);
    assert_eq!(credit.spent_at(), None);
    assert!(credit.begin(now + 800 * MS));
    let rest = MOST_CREDIT - 2 * REQUEST - 800 * MS;
    assert_eq!(credit.spent_at(), Some(now + 800 * MS + rest));
}

#[test]
fn who_asks_for_ever_gets_about_a_tenth_of_the_time() {
    let start = Instant::now();
    let mut credit = Credit::new(start);
    let (mut mirrored, mut requests, mut mirroring) = (Duration::ZERO, 0, false);
    let hour = Duration::from_secs(3_600);
    for step in 0..hour.as_millis() as u32 / 20 {
        let now = start + step * 20 * MS;
        if mirroring && credit.spent_at().is_some_and(|at| now >= at) {
            credit.end(now);
            mirroring = false;
        }
        if !mirroring {
            mirroring = credit.begin(now);
            requests += u32::from(mirroring);
        }
        mirrored += if mirroring { 20 * MS } else { Duration::ZERO };
    }
    assert!(mirrored <= MOST_CREDIT + hour / EARNED_IN, "{mirrored:?}");
    assert!(mirrored >= hour / 12, "{mirrored:?}");
    assert!(requests <= 360, "{requests} requests");
}

#[test]
fn short_doubts_once_a_second_leave_enough_for_a_long_one() {
    let start = Instant::now();
    let mut credit = Credit::new(start);
    for second in 0..3_600 {
        let now = start + second * 1_000 * MS;
        assert!(credit.begin(now), "after {second} s");
        credit.end(now + 50 * MS);
    }
    let now = start + 3_600 * 1_000 * MS;
    assert!(credit.begin(now));
    assert!(credit.spent_at().unwrap() >= now + 5_000 * MS);
}

/// On a path of 3 s a doubt that another path answers takes nine.
#[test]
fn on_a_long_path_doubts_take_longer_and_their_share_is_the_same() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let mut credit = Credit::new(start);
    credit.handle_rtt(3 * second);
    assert!(credit.begin(start));
    credit.end(start + 9 * second);
    assert!(
        !credit.begin(start + 9 * second),
        "it would be over too soon"
    );
    let rested = start + 600 * second;
    for doubt in 0..4 {
        assert!(credit.begin(rested + doubt * 9 * second), "doubt {doubt}");
        credit.end(rested + (doubt + 1) * 9 * second);
    }
    // Round trips that come and go earn nothing.
    let mut credit = Credit::new(start);
    for _ in 0..100 {
        credit.handle_rtt(3 * second);
        credit.handle_rtt(Duration::ZERO);
    }
    assert!(credit.begin(start));
    assert!(credit.spent_at().unwrap() <= start + MOST_CREDIT);
}

#[test]
fn moves_are_bounded() {
    let start = Instant::now();
    let mut credit = Credit::new(start);
    let granted = |credit: &mut Credit, now| (0..1_000).filter(|_| credit.pay_move(now)).count();
    assert_eq!(granted(&mut credit, start), 50);
    assert_eq!(granted(&mut credit, start + Duration::from_secs(20)), 10);
    let day = start + Duration::from_secs(86_400);
    assert_eq!(granted(&mut credit, day), 50);
}

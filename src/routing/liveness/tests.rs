use proptest::prelude::*;

use super::*;

const INTERVAL: Duration = Duration::from_millis(100);
const MS: Duration = Duration::from_millis(1);

fn link(now: Instant) -> Liveness {
    Liveness::new(now, INTERVAL, INTERVAL / 2, 3)
}

/// Ticks on time until `end`; the changes on the way, with how long after `start` they came.
fn run_until(link: &mut Liveness, start: Instant, end: Instant) -> Vec<(Duration, LinkState)> {
    let mut changes = Vec::new();
    while let Some(due) = link.poll_timeout().filter(|due| *due <= end) {
        link.handle_tick(due);
        changes.extend(link.poll_event().map(|state| (due - start, state)));
    }
    changes
}

/// Every state, with silence before and after either threshold.
#[test]
fn the_whole_transition_table() {
    use LinkState::*;

    let silences = [50, 149, 150, 299, 300].map(|ms| ms * MS);
    let table = [
        (Up, Input::Received, [Up; 5]),
        (Suspect, Input::Received, [Up; 5]),
        (Down, Input::Received, [Up; 5]),
        (Up, Input::Tick, [Up, Up, Suspect, Suspect, Down]),
        (
            Suspect,
            Input::Tick,
            [Suspect, Suspect, Suspect, Suspect, Down],
        ),
        (Down, Input::Tick, [Down; 5]),
    ];
    for (state, input, row) in table {
        for (silence, expected) in silences.into_iter().zip(row) {
            let start = Instant::now();
            let mut link = link(start);
            link.state = state;
            link.step(start + silence, input);
            assert_eq!(
                link.state(),
                expected,
                "{state:?} on {input:?} after {silence:?}"
            );
            let event = link.poll_event();
            assert_eq!(event, (expected != state).then_some(expected));
        }
    }
}

#[test]
fn a_silent_peer_is_suspect_at_one_and_a_half_intervals_and_down_at_the_deadline() {
    let start = Instant::now();
    let mut link = link(start);
    let changes = run_until(&mut link, start, start + INTERVAL * 10);
    let expected = [(150 * MS, LinkState::Suspect), (300 * MS, LinkState::Down)];
    assert_eq!(changes, expected);
    assert_eq!(link.poll_timeout(), None);
}

/// Silence until the suspicion and the end, in milliseconds, on a link that was heard once.
#[test]
fn a_long_round_trip_moves_both_thresholds_and_a_short_one_none() {
    let table = [
        (0, 150, 300),
        (90, 150, 300),
        (150, 150, 300),
        (200, 200, 300),
        (600, 600, 900),
        (3_000, 3_000, 4_500),
        (60_000, 9_500, 14_250),
    ];
    for (rtt, suspect, down) in table {
        let start = Instant::now();
        let mut link = link(start);
        link.handle_rtt(rtt * MS);
        link.handle_received(start);
        let changes = run_until(&mut link, start, start + INTERVAL * 200);
        let expected = [
            (suspect * MS, LinkState::Suspect),
            (down * MS, LinkState::Down),
        ];
        assert_eq!(changes, expected, "{rtt} ms");
    }
}

/// The neighbour begins only when it hears our hello: at first silence says less.
#[test]
fn the_first_heartbeat_is_waited_for_three_round_trips_more() {
    for rtt in [1, 600, 3_000] {
        let start = Instant::now();
        let mut link = link(start);
        link.handle_rtt(rtt * MS);
        let first = start + (rtt * 3 + rtt.max(150) - 1) * MS;
        assert_eq!(run_until(&mut link, start, first), [], "{rtt} ms");
        link.handle_received(first);
        let down = run_until(&mut link, first, first + INTERVAL * 100);
        assert_eq!(down[1].0, (300 * MS).max(rtt * 3 / 2 * MS), "{rtt} ms");
    }
}

#[test]
fn the_slower_side_sets_the_interval() {
    let now = Instant::now();
    let slow = Duration::from_secs(1);
    assert_eq!(Liveness::new(now, INTERVAL, slow, 3).interval(), slow);
    assert_eq!(Liveness::new(now, slow, INTERVAL, 3).interval(), slow);
}

#[test]
fn a_deadline_below_the_suspicion_goes_straight_down() {
    let start = Instant::now();
    let mut link = Liveness::new(start, INTERVAL, INTERVAL, 1);
    let changes = run_until(&mut link, start, start + INTERVAL * 10);
    assert_eq!(changes, [(INTERVAL, LinkState::Down)]);
}

#[test]
fn a_peer_heard_again_is_up_and_its_absence_does_not_count_as_jitter() {
    let start = Instant::now();
    let mut link = link(start);
    run_until(&mut link, start, start + INTERVAL * 10);
    let back = start + Duration::from_secs(3_600);
    link.handle_received(back);
    assert_eq!(link.poll_event(), Some(LinkState::Up));
    assert_eq!(link.deadline(), INTERVAL * 3);
    let changes = run_until(&mut link, back, back + INTERVAL * 10);
    assert_eq!(changes.last(), Some(&(INTERVAL * 3, LinkState::Down)));
}

#[test]
fn late_heartbeats_stretch_the_deadline_and_punctual_ones_shrink_it_again() {
    let start = Instant::now();
    let mut link = Liveness::new(start, INTERVAL, INTERVAL, 2);
    let mut now = start;
    for _ in 0..40 {
        now += INTERVAL * 19 / 10;
        run_until(&mut link, start, now);
        link.handle_received(now);
        assert_eq!(link.state(), LinkState::Up);
    }
    let stretched = link.deadline();
    assert!(stretched > INTERVAL * 4, "{stretched:?}");
    assert!(
        link.suspect_after() > INTERVAL * 2,
        "a late link is no suspect"
    );
    for _ in 0..40 {
        now += INTERVAL;
        link.handle_received(now);
    }
    assert_eq!(link.deadline(), INTERVAL * 2);
}

#[test]
fn a_burst_of_packets_does_not_wash_lateness_out() {
    let start = Instant::now();
    let mut link = link(start);
    let mut now = start;
    for _ in 0..20 {
        now += INTERVAL * 2;
        run_until(&mut link, start, now);
        link.handle_received(now);
        for _ in 0..1_000 {
            now += Duration::from_micros(20);
            link.handle_received(now);
        }
    }
    assert!(link.jitter.smoothed > INTERVAL / 2, "{:?}", link.jitter);
}

#[test]
fn our_own_long_pause_convicts_nobody_before_an_interval_awake() {
    let start = Instant::now();
    let mut link = link(start);
    let woken = start + Duration::from_secs(60);
    link.handle_tick(woken);
    assert_ne!(link.state(), LinkState::Down);
    let changes = run_until(&mut link, woken, woken + INTERVAL * 10);
    let (down, _) = changes
        .into_iter()
        .find(|c| c.1 == LinkState::Down)
        .unwrap();
    assert!(down >= INTERVAL && down <= INTERVAL * 3, "{down:?}");
}

#[test]
fn a_pause_just_before_the_verdict_postpones_it_by_an_interval() {
    let start = Instant::now();
    let mut link = link(start);
    run_until(&mut link, start, start + 299 * MS);
    let woken = start + Duration::from_secs(5);
    link.handle_tick(woken);
    assert_eq!(link.state(), LinkState::Suspect);
    let changes = run_until(&mut link, woken, woken + INTERVAL * 10);
    assert_eq!(changes, [(INTERVAL, LinkState::Down)]);
}

#[test]
fn a_short_pause_moves_the_thresholds_by_as_much() {
    let start = Instant::now();
    let mut link = link(start);
    run_until(&mut link, start, start + 100 * MS);
    link.handle_tick(start + 230 * MS);
    assert_eq!(link.poll_event(), Some(LinkState::Suspect), "150 ms awake");
    let changes = run_until(&mut link, start, start + INTERVAL * 10);
    assert_eq!(changes, [(380 * MS, LinkState::Down)]);
}

#[test]
fn a_timer_late_by_its_grain_is_no_pause() {
    let start = Instant::now();
    let mut link = link(start);
    while let Some(due) = link.poll_timeout() {
        link.handle_tick(due + 2 * MS);
        assert!(due <= start + INTERVAL * 3);
    }
}

#[test]
fn what_we_slept_through_is_no_jitter() {
    let start = Instant::now();
    let mut link = link(start);
    let woken = start + Duration::from_secs(5);
    link.handle_received(woken);
    assert_eq!(link.deadline(), INTERVAL * 3);
    let again = woken + Duration::from_secs(5);
    link.handle_tick(again);
    link.handle_received(again);
    assert_eq!(link.deadline(), INTERVAL * 3);
}

proptest! {
    #[test]
    fn a_peer_heard_every_interval_with_bounded_jitter_is_never_down(
        dead_after in 2_u32..6,
        heartbeat_ms in 20_u32..500,
        delays in prop::collection::vec(0_f64..0.95, 1..200),
    ) {
        let interval = heartbeat_ms * MS;
        let start = Instant::now();
        let mut link = Liveness::new(start, interval, interval, dead_after);
        for (sent, delay) in (1..).zip(delays) {
            let arrival = start + interval * sent + interval.mul_f64(delay);
            let changes = run_until(&mut link, start, arrival);
            prop_assert!(changes.iter().all(|change| change.1 != LinkState::Down));
            link.handle_received(arrival);
        }
    }

    #[test]
    fn a_silent_peer_is_down_within_its_deadline_and_a_tick(
        dead_after in 1_u32..6,
        gaps_ms in prop::collection::vec(1_u32..250, 0..60),
        tick_ms in 1_u32..50,
    ) {
        let mut now = Instant::now();
        let mut link = Liveness::new(now, INTERVAL, INTERVAL, dead_after);
        for gap in gaps_ms {
            let next = now + gap * MS;
            run_until(&mut link, now, next);
            now = next;
            link.handle_received(now);
        }
        let tick = tick_ms * MS;
        let (heard, deadline) = (now, link.deadline());
        while link.state() != LinkState::Down {
            prop_assert!(now <= heard + deadline + tick, "{:?}", now - heard);
            now += tick;
            link.handle_tick(now);
        }
        prop_assert!(now >= heard + deadline);
    }

    /// The peer sends every interval all the time; we sleep now and then, and on waking the timer
    /// runs before the socket is read.
    #[test]
    fn our_own_pauses_never_convict_a_living_peer(
        dead_after in 2_u32..5,
        pauses in prop::collection::vec((0_u64..800, 0_u64..3_000), 1..30),
    ) {
        let start = Instant::now();
        let mut link = Liveness::new(start, INTERVAL, INTERVAL, dead_after);
        let mut now = start;
        let mut sent = 0;
        for (awake_ms, asleep_ms) in pauses {
            let sleep_from = now + Duration::from_millis(awake_ms);
            while start + INTERVAL * (sent + 1) <= sleep_from {
                sent += 1;
                let arrival = start + INTERVAL * sent;
                run_until(&mut link, start, arrival);
                link.handle_received(arrival);
            }
            run_until(&mut link, start, sleep_from);
            now = sleep_from + Duration::from_millis(asleep_ms);
            if link.poll_timeout().is_some_and(|due| due <= now) {
                link.handle_tick(now);
            }
            prop_assert_ne!(link.state(), LinkState::Down);
            if start + INTERVAL * (sent + 1) <= now {
                sent = ((now - start).as_millis() / INTERVAL.as_millis()) as u32;
                link.handle_received(now);
            }
        }
    }
}

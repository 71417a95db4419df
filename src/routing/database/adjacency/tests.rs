use super::*;

const M: LinkMetrics = LinkMetrics {
    cost: 10,
    rtt_us: 1_000,
    mtu: 1_400,
};

fn with_rtt(rtt_us: u64) -> Input {
    Input::Metrics { rtt_us, mtu: M.mtu }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Every state with every input: the state after it and what is told.
#[test]
fn the_whole_table() {
    use Input::{Down as GoesDown, Pardon, SoleWay, Tick, Up};
    use State::{Down, Told};
    let now = Instant::now();
    let (before, later) = (now - seconds(1), now + seconds(9));
    let until = |left| held(now, now + seconds(left), M);
    let long = held(before, later, M);
    let fresh = held(now, later, M);
    let ripe = held(before, now, M);
    let told = Told { is: M, told: M };
    let dear = LinkMetrics { cost: 20, ..M };
    let slow = LinkMetrics { rtt_us: 9_000, ..M };
    let measured = with_rtt(9_000);
    let cases = [
        (Down, 0, Up(M), told, Tell::Soon),
        (Down, 1, Up(M), until(1), Tell::Nothing),
        (Down, 3, Up(M), until(4), Tell::Nothing),
        (Down, 0, measured, Down, Tell::Nothing),
        (Down, 1, SoleWay, Down, Tell::Nothing),
        (Down, 0, GoesDown, Down, Tell::Nothing),
        (Down, 0, Tick, Down, Tell::Nothing),
        (long, 1, Up(dear), held(before, later, dear), Tell::Nothing),
        (long, 1, measured, held(before, later, slow), Tell::Nothing),
        (fresh, 1, SoleWay, told, Tell::Soon),
        (fresh, 2, SoleWay, until(1), Tell::Nothing),
        (fresh, 8, SoleWay, until(1), Tell::Nothing),
        (long, 8, SoleWay, told, Tell::Soon),
        (long, 1, GoesDown, Down, Tell::Nothing),
        (long, 1, Tick, long, Tell::Nothing),
        (ripe, 1, Tick, told, Tell::Soon),
        (told, 0, Up(M), told, Tell::Nothing),
        (told, 0, Up(dear), Told { is: dear, told: M }, Tell::Batched),
        (told, 0, measured, Told { is: slow, told: M }, Tell::Batched),
        (told, 1, SoleWay, told, Tell::Nothing),
        (told, 0, GoesDown, Down, Tell::AtOnce),
        (told, 0, Tick, told, Tell::Nothing),
        (Down, 1, Pardon, Down, Tell::Nothing),
        (long, 1, Pardon, long, Tell::Nothing),
        (told, 1, Pardon, told, Tell::Nothing),
    ];
    for (state, flaps, input, after, tell) in cases {
        let last_down = (flaps > 0).then_some(now);
        let mut adjacency = Adjacency {
            state,
            flaps,
            last_down,
            pardoned: None,
        };
        assert_eq!(adjacency.handle(now, input), tell, "{state:?} {input:?}");
        assert_eq!(adjacency.state, after, "{state:?} {input:?}");
    }
}

#[test]
fn the_hold_doubles_to_a_minute_and_is_forgiven() {
    let mut now = Instant::now();
    let mut adjacency = Adjacency::new();
    let mut holds = Vec::new();
    for _ in 0..9 {
        adjacency.handle(now, Input::Up(M));
        holds.push(
            adjacency
                .held_until()
                .map_or(0, |until| (until - now).as_secs()),
        );
        adjacency.handle(now, Input::Down);
        now += Duration::from_millis(10);
    }
    assert_eq!(holds, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
    assert!(!adjacency.is_forgotten(now));
    now += seconds(60 * 7);
    adjacency.handle(now, Input::Up(M));
    assert_eq!(
        adjacency.held_until(),
        Some(now + seconds(1)),
        "7 of 8 forgiven"
    );
    adjacency.handle(now, Input::Tick);
    adjacency.handle(now, Input::Down);
    assert!(adjacency.is_forgotten(now + seconds(120)));
}

#[test]
fn a_pardoned_flap_costs_no_hold_and_the_next_one_does() {
    let start = Instant::now();
    let mut adjacency = Adjacency::new();
    let mut holds = Vec::new();
    for at in [0, 1, 2, 6, 7] {
        let now = start + seconds(at);
        adjacency.handle(now, Input::Up(M));
        let held = adjacency.held_until();
        holds.push(held.map_or(0, |until| (until - now).as_secs()));
        adjacency.handle(now, Input::Down);
        adjacency.handle(now, Input::Pardon);
        assert!(
            !adjacency.is_forgotten(now),
            "or each flap would be pardoned"
        );
    }
    // The second fall was one too many, the fourth was pardoned again.
    assert_eq!(holds, [0, 0, 1, 2, 2]);
}

#[test]
fn small_changes_are_noise_unless_they_are_of_the_mtu() {
    let tell = |is| worth_telling(M, is);
    assert_eq!(tell(LinkMetrics { rtt_us: 1_150, ..M }), Tell::Nothing);
    assert_eq!(
        tell(LinkMetrics { rtt_us: 1_300, ..M }),
        Tell::Nothing,
        "same class"
    );
    assert_eq!(tell(LinkMetrics { rtt_us: 1_500, ..M }), Tell::Batched);
    assert_eq!(tell(LinkMetrics { cost: 11, ..M }), Tell::Nothing);
    assert_eq!(tell(LinkMetrics { cost: 12, ..M }), Tell::Batched);
    assert_eq!(tell(LinkMetrics { mtu: 1_410, ..M }), Tell::Batched);
    assert_eq!(tell(LinkMetrics { mtu: 1_390, ..M }), Tell::Batched);
    assert_eq!(worth_telling(LinkMetrics { mtu: 0, ..M }, M), Tell::Batched);
}

#[test]
fn noise_at_the_edge_of_a_class_stays_untold() {
    let now = Instant::now();
    let mut adjacency = Adjacency::new();
    adjacency.handle(now, Input::Up(LinkMetrics { rtt_us: 1_440, ..M }));
    for rtt_us in [1_460, 1_430, 1_500, 1_400] {
        assert_eq!(adjacency.handle(now, with_rtt(rtt_us)), Tell::Nothing);
    }
}

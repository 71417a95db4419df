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
    let now = Instant::now();
    let later = now + seconds(9);
    let held = State::Held {
        until: later,
        is: M,
    };
    let ripe = State::Held { until: now, is: M };
    let told = State::Told { is: M, told: M };
    let dear = LinkMetrics { cost: 20, ..M };
    let slow = LinkMetrics { rtt_us: 9_000, ..M };
    let cases = [
        (State::Down, 0, Input::Up(M), told, Tell::Soon),
        (
            State::Down,
            1,
            Input::Up(M),
            State::Held {
                until: now + seconds(1),
                is: M,
            },
            Tell::Nothing,
        ),
        (State::Down, 0, with_rtt(9_000), State::Down, Tell::Nothing),
        (State::Down, 0, Input::Down, State::Down, Tell::Nothing),
        (State::Down, 0, Input::Tick, State::Down, Tell::Nothing),
        (
            held,
            1,
            Input::Up(dear),
            State::Held {
                until: later,
                is: dear,
            },
            Tell::Nothing,
        ),
        (
            held,
            1,
            with_rtt(9_000),
            State::Held {
                until: later,
                is: slow,
            },
            Tell::Nothing,
        ),
        (held, 1, Input::Down, State::Down, Tell::Nothing),
        (held, 1, Input::Tick, held, Tell::Nothing),
        (ripe, 1, Input::Tick, told, Tell::Soon),
        (told, 0, Input::Up(M), told, Tell::Nothing),
        (
            told,
            0,
            Input::Up(dear),
            State::Told { is: dear, told: M },
            Tell::Batched,
        ),
        (
            told,
            0,
            with_rtt(9_000),
            State::Told { is: slow, told: M },
            Tell::Batched,
        ),
        (told, 0, Input::Down, State::Down, Tell::AtOnce),
        (told, 0, Input::Tick, told, Tell::Nothing),
    ];
    for (state, flaps, input, after, tell) in cases {
        let last_down = (flaps > 0).then_some(now);
        let mut adjacency = Adjacency {
            state,
            flaps,
            last_down,
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
fn small_changes_are_noise_unless_packets_would_be_lost() {
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
    assert_eq!(tell(LinkMetrics { mtu: 1_450, ..M }), Tell::Nothing);
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

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const VERDICT: Duration = Duration::from_millis(600);

const LINK: Reason = Reason::LinkSuspect;
const TOLD: Reason = Reason::PathError(AgentId([1; 16]), AgentId([2; 16]));
const REASONS: [Reason; 5] = [
    LINK,
    Reason::Unanswered,
    Reason::PeerDoubts,
    Reason::ProbeMissed,
    TOLD,
];

/// What becomes of a state.
#[derive(Clone, Copy)]
enum Then {
    Stays,
    Trusted,
    Lost,
    /// With a word about it.
    Doubted,
    Cleared,
    Failed,
    /// The backup answers.
    Answers,
}

/// One row per input so many milliseconds after the state began: what becomes of a session that opened or
/// is lost, of a trusted one, of one whose link is suspect, and of two others that are doubted, whose
/// backup is silent and answers.
fn rows(start: Instant) -> Vec<(u32, Input, [Then; 5])> {
    use Then::*;
    let before = start.checked_sub(MS).unwrap();
    let tick = |rtt: u32| Input::Tick {
        verdict: VERDICT,
        rtt: rtt * MS,
    };
    #[rustfmt::skip]
    let rows = vec![
        (0,   Input::Moved,                  [Trusted, Stays,   Trusted, Trusted, Trusted]),
        (0,   Input::Lost,                   [Stays,   Lost,    Lost,    Lost,    Lost]),
        (5,   Input::Doubt(LINK),            [Stays,   Doubted, Stays,   Stays,   Stays]),
        (5,   Input::Doubt(TOLD),            [Stays,   Doubted, Stays,   Stays,   Stays]),
        (5,   Input::LinkHeard,              [Stays,   Stays,   Cleared, Stays,   Stays]),
        (5,   Input::PathAnswered(before),   [Stays,   Stays,   Stays,   Stays,   Stays]),
        (5,   Input::PathAnswered(start),    [Stays,   Stays,   Cleared, Cleared, Cleared]),
        (5,   Input::BackupAnswered(before), [Stays,   Stays,   Stays,   Stays,   Stays]),
        (5,   Input::BackupAnswered(start),  [Stays,   Stays,   Answers, Answers, Stays]),
        (599, tick(1),                       [Stays,   Stays,   Stays,   Stays,   Stays]),
        (600, tick(1),                       [Stays,   Stays,   Stays,   Stays,   Failed]),
        (600, tick(700),                     [Stays,   Stays,   Stays,   Stays,   Stays]),
        (1_449, tick(700),                   [Stays,   Stays,   Stays,   Stays,   Stays]),
        (1_450, tick(700),                   [Stays,   Stays,   Stays,   Stays,   Failed]),
    ];
    rows
}

#[test]
fn the_whole_transition_table() {
    let start = Instant::now();
    let doubted = |since, reason, backup_answers| State::Doubted {
        since,
        reason,
        backup_answers,
    };
    let pathless = [State::Opened { since: start }, State::Lost { since: start }];
    for (after, input, row) in rows(start) {
        let now = start + after * MS;
        for pathless in pathless {
            let states = [
                pathless,
                State::Trusted,
                doubted(start, LINK, false),
                doubted(start, Reason::Unanswered, false),
                doubted(start, Reason::Unanswered, true),
            ];
            for (state, then) in states.into_iter().zip(row) {
                let expected = match (then, state, input) {
                    (Then::Stays, _, _) => (state, None),
                    (Then::Trusted, _, _) => (State::Trusted, None),
                    (Then::Lost, _, _) => (State::Lost { since: now }, None),
                    (Then::Doubted, _, Input::Doubt(reason)) => {
                        (doubted(now, reason, false), Some(Change::Began(reason)))
                    }
                    (Then::Cleared, _, _) => (State::Trusted, Some(Change::Cleared)),
                    (Then::Failed, State::Doubted { reason, .. }, _) => {
                        (State::Trusted, Some(Change::Failed(reason)))
                    }
                    (Then::Answers, State::Doubted { since, reason, .. }, _) => {
                        (doubted(since, reason, true), None)
                    }
                    _ => panic!("{input:?} cannot do that to {state:?}"),
                };
                assert_eq!(
                    state.after(now, input),
                    expected,
                    "{state:?} on {input:?} after {after} ms"
                );
            }
        }
    }
}

#[test]
fn what_a_transit_says_is_confirmed_sooner() {
    let since = Instant::now();
    let doubted = State::Doubted {
        since,
        reason: TOLD,
        backup_answers: true,
    };
    let tick = Input::Tick {
        verdict: VERDICT,
        rtt: MS,
    };
    assert_eq!(doubted.after(since + 59 * MS, tick), (doubted, None));
    let failed = (State::Trusted, Some(Change::Failed(TOLD)));
    assert_eq!(doubted.after(since + 60 * MS, tick), failed);
}

#[test]
fn what_a_transit_says_of_a_doubted_path_hastens_nothing() {
    let since = Instant::now();
    let mut state = State::Doubted {
        since,
        reason: Reason::Unanswered,
        backup_answers: true,
    };
    let tick = Input::Tick {
        verdict: VERDICT,
        rtt: MS,
    };
    for ms in (5..600).step_by(20) {
        (state, _) = state.after(since + ms * MS, Input::Doubt(TOLD));
        let change;
        (state, change) = state.after(since + ms * MS, tick);
        assert_eq!(change, None, "after {ms} ms");
    }
    let failed = Some(Change::Failed(Reason::Unanswered));
    assert_eq!(state.after(since + VERDICT, tick), (State::Trusted, failed));
}

/// What a session may do to its doubt, and how many milliseconds later.
fn histories() -> impl Strategy<Value = Vec<(u32, u8)>> {
    proptest::collection::vec((0_u32..300, 0_u8..14), 0..60)
}

proptest! {
    /// Whatever the order of things: a doubt keeps its beginning, ends for a reason, and fails only
    /// a path whose backup answered, and not before its time.
    #[test]
    fn no_history_breaks_the_promises(history in histories()) {
        let mut now = Instant::now();
        let (mut state, mut backup_answered) = (State::Trusted, false);
        for (pause, what) in history {
            let (before, asked) = (state, now);
            now += pause * MS;
            let input = match what {
                0..=4 => Input::Doubt(REASONS[usize::from(what)]),
                5 => Input::LinkHeard,
                6 | 7 => Input::PathAnswered(asked),
                8 => Input::BackupAnswered(asked),
                9 => Input::Moved,
                10 => Input::Lost,
                _ => Input::Tick { verdict: VERDICT, rtt: u32::from(what) * MS },
            };
            let change;
            (state, change) = state.after(now, input);
            prop_assert_eq!(state.doubted().is_some() || state == State::Trusted, state.pathless().is_none());
            match (before.doubted(), state.doubted()) {
                (None, Some(since)) => {
                    prop_assert_eq!(since, now);
                    prop_assert!(what <= 4 && before == State::Trusted);
                    prop_assert!(matches!(change, Some(Change::Began(_))));
                    backup_answered = false;
                }
                (Some(was), Some(is)) => prop_assert_eq!(was, is),
                (Some(since), None) => match change {
                    Some(Change::Cleared) => prop_assert!(what == 5 || asked >= since && what < 8),
                    Some(Change::Failed(reason)) => {
                        prop_assert!(backup_answered && now - since >= reason.verdict(VERDICT));
                        prop_assert!(what > 10, "only time fails a path");
                    }
                    Some(Change::Began(_)) => prop_assert!(false, "it had begun"),
                    None => prop_assert!(what == 9 || what == 10),
                },
                (None, None) => prop_assert_eq!(change, None),
            }
            backup_answered |= what == 8 && state.doubted().is_some_and(|since| asked >= since);
        }
    }
}

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const VERDICT: Duration = Duration::from_millis(600);

const REASONS: [Reason; 5] = [
    Reason::LinkSuspect,
    Reason::Unanswered,
    Reason::PeerDoubts,
    Reason::ProbeMissed,
    Reason::PathError,
];

/// Every state, with `since` in the past.
fn states(since: Instant) -> Vec<State> {
    let mut states = vec![State::Trust];
    for reason in REASONS {
        states.extend([false, true].map(|backup_answers| State::Doubts {
            since,
            reason,
            backup_answers,
        }));
        states.push(State::Failed { since, reason });
    }
    states
}

/// Every input; probes left before the doubt began or when it did.
fn inputs(since: Instant) -> Vec<Input> {
    let before = since.checked_sub(MS).unwrap();
    let mut inputs = REASONS.map(Input::Sign).to_vec();
    for sent in [before, since] {
        inputs.extend([Input::PathAnswered(sent), Input::BackupAnswered(sent)]);
    }
    inputs.extend([Input::LinkHeard, Input::Moved]);
    inputs.extend([60 * MS, 700 * MS].map(Input::Tick));
    inputs
}

/// What every input makes of every state; `link` is whether the link is suspect.
fn expected(state: State, input: Input, link: bool, now: Instant) -> State {
    match (state, input) {
        (State::Trust, Input::Sign(reason)) => State::Doubts {
            since: now,
            reason,
            backup_answers: false,
        },
        (State::Trust, _) => State::Trust,
        (State::Failed { .. } | State::Doubts { .. }, Input::Moved) => State::Trust,
        (failed @ State::Failed { .. }, _) => failed,
        (
            State::Doubts {
                since,
                reason,
                backup_answers,
            },
            input,
        ) => match input {
            Input::LinkHeard if reason == Reason::LinkSuspect => State::Trust,
            Input::PathAnswered(sent) if sent >= since && !link => State::Trust,
            Input::BackupAnswered(sent) if sent >= since => State::Doubts {
                since,
                reason,
                backup_answers: true,
            },
            Input::Tick(answer)
                if backup_answers && now >= since + reason.verdict(VERDICT).max(answer) =>
            {
                State::Failed { since, reason }
            }
            _ => state,
        },
    }
}

#[test]
fn every_state_meets_every_input() {
    let since = Instant::now();
    let times = [
        Duration::ZERO,
        59 * MS,
        60 * MS,
        VERDICT - MS,
        VERDICT,
        700 * MS,
    ];
    let mut met = 0;
    for state in states(since) {
        for link_suspect in [false, true] {
            for now in times.map(|age| since + age) {
                for input in inputs(since) {
                    let mut doubt = Doubt {
                        state,
                        link_suspect,
                        verdict: VERDICT,
                    };
                    doubt.step(now, input);
                    let wanted = expected(state, input, link_suspect, now);
                    assert_eq!(
                        doubt.state, wanted,
                        "{state:?} {input:?} link {link_suspect}"
                    );
                    met += 1;
                }
            }
        }
    }
    assert_eq!(met, 16 * 2 * 6 * 13);
}

/// What a session may do to its doubt, and how many milliseconds later.
fn histories() -> impl Strategy<Value = Vec<(u32, u8)>> {
    proptest::collection::vec((0_u32..300, 0_u8..14), 0..60)
}

proptest! {
    /// Whatever the order of things: a doubt keeps its beginning, ends for a reason, and fails only
    /// a path whose backup answered, not before its time, and for good.
    #[test]
    fn no_history_breaks_the_promises(history in histories()) {
        let start = Instant::now();
        let (mut doubt, mut now) = (Doubt::new(VERDICT), start);
        let mut backup_answered = false;
        for (pause, what) in history {
            let (before, failed, link) = (doubt.since(), doubt.failed(), doubt.link_suspect);
            let asked = now;
            now += pause * MS;
            match what {
                0..=3 => doubt.handle_sign(now, REASONS[usize::from(what) + 1]),
                4 | 5 => doubt.handle_link(now, what == 4),
                6 | 7 => doubt.handle_path_answered(now, asked),
                8 => doubt.handle_backup_answered(now, asked),
                9 => doubt.handle_moved(now),
                _ => doubt.handle_tick(now, u32::from(what) * MS),
            }
            let after = doubt.since();
            match (before, after) {
                (None, Some(since)) => {
                    prop_assert_eq!(since, now);
                    prop_assert!(what <= 4);
                    backup_answered = false;
                }
                (Some(was), Some(is)) => prop_assert_eq!(was, is),
                (Some(since), None) => match what {
                    5 => prop_assert!(link && failed.is_none()),
                    6 | 7 => prop_assert!(asked >= since && !link && failed.is_none()),
                    _ => prop_assert_eq!(what, 9),
                },
                (None, None) => {}
            }
            backup_answered |= what == 8 && after.is_some_and(|since| asked >= since);
            match (failed, doubt.failed()) {
                (None, Some(reason)) => {
                    let age = now - after.unwrap();
                    prop_assert!(backup_answered && age >= reason.verdict(VERDICT));
                    prop_assert!(what >= 10, "only time fails a path");
                }
                (Some(was), Some(is)) => prop_assert_eq!(was, is),
                (Some(_), None) => prop_assert_eq!(what, 9, "only a move mends"),
                (None, None) => {}
            }
            prop_assert_eq!(doubt.pace(now).is_some(), after.is_some());
        }
    }
}

#[test]
fn a_silent_link_that_is_heard_again_ends_the_doubt() {
    let (mut doubt, now) = (Doubt::new(VERDICT), Instant::now());
    doubt.handle_link(now, true);
    assert_eq!(doubt.since(), Some(now));
    // Told once more, nothing changes.
    doubt.handle_link(now + MS, true);
    assert_eq!(doubt.since(), Some(now));
    doubt.handle_link(now + 2 * MS, false);
    assert_eq!(doubt.since(), None);
}

#[test]
fn an_answer_sent_before_the_doubt_proves_nothing() {
    let (mut doubt, now) = (Doubt::new(VERDICT), Instant::now());
    doubt.handle_sign(now + 10 * MS, Reason::Unanswered);
    doubt.handle_path_answered(now + 11 * MS, now);
    assert!(doubt.since().is_some());
    doubt.handle_path_answered(now + 12 * MS, now + 10 * MS);
    assert_eq!(doubt.since(), None);
}

#[test]
fn an_answer_does_not_clear_a_link_that_is_silent() {
    let (mut doubt, now) = (Doubt::new(VERDICT), Instant::now());
    doubt.handle_link(now, true);
    doubt.handle_path_answered(now + 5 * MS, now + MS);
    assert!(doubt.since().is_some());
}

#[test]
fn a_path_fails_only_if_another_answers() {
    let start = Instant::now();
    let at = |ms: u32| start + ms * MS;
    let mut alone = Doubt::new(VERDICT);
    alone.handle_sign(start, Reason::ProbeMissed);
    alone.handle_tick(at(5_000), MS);
    assert!(alone.failed().is_none());
    alone.handle_backup_answered(at(5_001), at(5_000));
    alone.handle_tick(at(5_002), MS);
    assert!(alone.failed().is_some());

    let mut beside = Doubt::new(VERDICT);
    beside.handle_sign(start, Reason::ProbeMissed);
    beside.handle_backup_answered(at(2), at(1));
    beside.handle_tick(at(599), MS);
    assert!(beside.failed().is_none());
    beside.handle_tick(at(600), MS);
    assert!(beside.failed().is_some());
    beside.handle_moved(at(601));
    assert_eq!(beside.since(), None);
}

#[test]
fn a_verdict_waits_for_two_long_round_trips() {
    let (mut doubt, start) = (Doubt::new(VERDICT), Instant::now());
    doubt.handle_sign(start, Reason::Unanswered);
    doubt.handle_backup_answered(start + 20 * MS, start + 10 * MS);
    doubt.handle_tick(start + 1_449 * MS, 700 * MS);
    assert!(doubt.failed().is_none());
    doubt.handle_tick(start + 1_450 * MS, 700 * MS);
    assert!(doubt.failed().is_some());
}

#[test]
fn what_a_transit_says_is_confirmed_by_probes() {
    let (mut doubt, start) = (Doubt::new(VERDICT), Instant::now());
    doubt.handle_sign(start, Reason::PathError);
    doubt.handle_tick(start + 100 * MS, MS);
    assert_eq!(doubt.failed(), None, "the backup is silent, too");
    doubt.handle_backup_answered(start + 101 * MS, start + 100 * MS);
    doubt.handle_tick(start + 102 * MS, MS);
    assert_eq!(doubt.failed(), Some(Reason::PathError));
}

#[test]
fn what_a_transit_says_of_a_doubted_path_hastens_nothing() {
    let (mut doubt, start) = (Doubt::new(VERDICT), Instant::now());
    doubt.handle_sign(start, Reason::Unanswered);
    doubt.handle_backup_answered(start + 2 * MS, start + MS);
    for ms in (5..VERDICT.as_millis() as u32).step_by(20) {
        doubt.handle_sign(start + ms * MS, Reason::PathError);
        doubt.handle_tick(start + ms * MS, MS);
        assert_eq!(doubt.failed(), None, "after {ms} ms");
    }
    doubt.handle_tick(start + VERDICT, MS);
    assert_eq!(doubt.failed(), Some(Reason::Unanswered));
}

#[test]
fn haste_is_for_doubts_and_wears_off() {
    let (mut doubt, now) = (Doubt::new(VERDICT), Instant::now());
    assert_eq!(doubt.pace(now), None);
    doubt.handle_sign(now, Reason::Unanswered);
    assert_eq!(doubt.pace(now), Some(pace(Duration::ZERO)));
    assert_eq!(doubt.pace(now + VERDICT), Some(pace(VERDICT)));
}

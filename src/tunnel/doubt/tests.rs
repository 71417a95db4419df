use super::*;

const MS: Duration = Duration::from_millis(1);

/// Every kind of state, with `since` in the past.
fn states(since: Instant) -> Vec<State> {
    let doubts = |reason, backup_answers| State::Doubts {
        since,
        reason,
        backup_answers,
    };
    vec![
        State::Trust,
        doubts(Reason::LinkSuspect, false),
        doubts(Reason::LinkSuspect, true),
        doubts(Reason::Unanswered, false),
        doubts(Reason::Unanswered, true),
        State::Failed { since },
    ]
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
        (State::Failed { since }, _) => State::Failed { since },
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
            Input::Tick if backup_answers && now >= since + VERDICT => State::Failed { since },
            _ => state,
        },
    }
}

#[test]
fn every_state_meets_every_input() {
    let since = Instant::now();
    let mut met = 0;
    for state in states(since) {
        for link_suspect in [false, true] {
            for now in [since + 100 * MS, since + VERDICT] {
                let before = since.checked_sub(MS).unwrap();
                for input in [
                    Input::Sign(Reason::LinkSuspect),
                    Input::Sign(Reason::Unanswered),
                    Input::Sign(Reason::PeerDoubts),
                    Input::Sign(Reason::ProbeMissed),
                    Input::LinkHeard,
                    Input::PathAnswered(before),
                    Input::PathAnswered(since),
                    Input::BackupAnswered(before),
                    Input::BackupAnswered(since),
                    Input::Moved,
                    Input::Tick,
                ] {
                    let mut doubt = Doubt {
                        state,
                        link_suspect,
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
    assert_eq!(met, 6 * 2 * 2 * 11);
}

#[test]
fn a_silent_link_that_is_heard_again_ends_the_doubt() {
    let (mut doubt, now) = (Doubt::new(), Instant::now());
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
    let (mut doubt, now) = (Doubt::new(), Instant::now());
    doubt.handle_sign(now + 10 * MS, Reason::Unanswered);
    doubt.handle_path_answered(now + 11 * MS, now);
    assert!(doubt.since().is_some());
    doubt.handle_path_answered(now + 12 * MS, now + 10 * MS);
    assert_eq!(doubt.since(), None);
}

#[test]
fn an_answer_does_not_clear_a_link_that_is_silent() {
    let (mut doubt, now) = (Doubt::new(), Instant::now());
    doubt.handle_link(now, true);
    doubt.handle_path_answered(now + 5 * MS, now + MS);
    assert!(doubt.since().is_some());
}

#[test]
fn a_path_fails_only_if_another_answers() {
    let start = Instant::now();
    let at = |ms: u32| start + ms * MS;
    let mut alone = Doubt::new();
    alone.handle_sign(start, Reason::ProbeMissed);
    alone.handle_tick(at(5_000));
    assert!(!alone.has_failed());
    alone.handle_backup_answered(at(5_001), at(5_000));
    alone.handle_tick(at(5_002));
    assert!(alone.has_failed());

    let mut beside = Doubt::new();
    beside.handle_sign(start, Reason::ProbeMissed);
    beside.handle_backup_answered(at(2), at(1));
    beside.handle_tick(at(599));
    assert!(!beside.has_failed());
    beside.handle_tick(at(600));
    assert!(beside.has_failed());
    beside.handle_moved(at(601));
    assert_eq!(beside.since(), None);
}

#[test]
fn haste_ends_after_a_second() {
    let (mut doubt, now) = (Doubt::new(), Instant::now());
    assert_eq!(doubt.pace(now), None);
    doubt.handle_sign(now, Reason::Unanswered);
    assert_eq!(doubt.pace(now + 999 * MS), Some(HURRY));
    assert_eq!(doubt.pace(now + 1_000 * MS), Some(PATIENT));
}

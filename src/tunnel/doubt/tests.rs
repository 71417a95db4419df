use super::*;

const MS: Duration = Duration::from_millis(1);
const VERDICT: Duration = Duration::from_millis(600);

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
        doubts(Reason::PathError, true),
        State::Failed {
            since,
            reason: Reason::Unanswered,
        },
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
            Input::Sign(Reason::PathError) => State::Doubts {
                since,
                reason: Reason::PathError,
                backup_answers,
            },
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
                    Input::Tick(60 * MS),
                    Input::Sign(Reason::PathError),
                ] {
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
    assert_eq!(met, 7 * 2 * 2 * 12);
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
fn what_a_transit_says_is_confirmed_by_three_probes() {
    let (mut doubt, start) = (Doubt::new(VERDICT), Instant::now());
    doubt.handle_sign(start, Reason::Unanswered);
    doubt.handle_sign(start + 5 * MS, Reason::PathError);
    doubt.handle_tick(start + 100 * MS, MS);
    assert_eq!(doubt.failed(), None, "the backup is silent, too");
    doubt.handle_backup_answered(start + 101 * MS, start + 100 * MS);
    doubt.handle_tick(start + 102 * MS, MS);
    assert_eq!(doubt.failed(), Some(Reason::PathError));
}

#[test]
fn haste_ends_after_a_second() {
    let (mut doubt, now) = (Doubt::new(VERDICT), Instant::now());
    assert_eq!(doubt.pace(now), None);
    doubt.handle_sign(now, Reason::Unanswered);
    assert_eq!(doubt.pace(now + 999 * MS), Some(HURRY));
    assert_eq!(doubt.pace(now + 1_000 * MS), Some(PATIENT));
}

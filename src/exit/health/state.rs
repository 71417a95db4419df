//! When a health check counts as up: pure.
//!
//! ```text
//!             passed                 failed, `fall` in a row
//!   Unknown ──────────► Up ─────────────────────────────────► Down
//!      │                ▲ ◄───────────────────────────────── ▲
//!      │                       passed, `rise` in a row       │
//!      └─────────────────────────────────────────────────────┘
//!                               failed
//! ```
//!
//! The first result decides at once: a good target is not held back, a dead one is never up.

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
}

/// The results so far, as far as they matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    /// With so many failures in a row, fewer than `fall`.
    Up {
        failures: u32,
    },
    /// With so many successes in a row, fewer than `rise`.
    Down {
        successes: u32,
    },
}

/// One check's state and thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Health {
    state: State,
    fall: u32,
    rise: u32,
}

impl Health {
    /// Of a check that is `known` to be up or not, if there were results. Both counts are at least 1.
    pub(super) fn new(fall: u32, rise: u32, known: Option<bool>) -> Self {
        Self {
            state: match known {
                None => State::Unknown,
                Some(true) => State::Up { failures: 0 },
                Some(false) => State::Down { successes: 0 },
            },
            fall,
            rise,
        }
    }

    /// Takes the next result in; returns whether the check is up now, if that is news.
    pub(super) fn handle_result(&mut self, outcome: Outcome) -> Option<bool> {
        let before = self.is_up();
        self.state = match (self.state, outcome) {
            (State::Unknown | State::Up { .. }, Outcome::Passed) => State::Up { failures: 0 },
            (State::Unknown | State::Down { .. }, Outcome::Failed) => State::Down { successes: 0 },
            (State::Up { failures }, Outcome::Failed) => match failures + 1 {
                failures if failures < self.fall => State::Up { failures },
                _ => State::Down { successes: 0 },
            },
            (State::Down { successes }, Outcome::Passed) => match successes + 1 {
                successes if successes < self.rise => State::Down { successes },
                _ => State::Up { failures: 0 },
            },
        };
        let after = self.is_up();
        after.filter(|_| after != before)
    }

    fn is_up(&self) -> Option<bool> {
        match self.state {
            State::Unknown => None,
            State::Up { .. } => Some(true),
            State::Down { .. } => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Failed, Passed};
    use super::*;

    fn up(failures: u32) -> State {
        State::Up { failures }
    }

    fn down(successes: u32) -> State {
        State::Down { successes }
    }

    #[test]
    fn every_state_takes_every_result() {
        let (fall, rise) = (3, 2);
        for (before, outcome, after, news) in [
            (State::Unknown, Passed, up(0), Some(true)),
            (State::Unknown, Failed, down(0), Some(false)),
            (up(0), Passed, up(0), None),
            (up(0), Failed, up(1), None),
            (up(1), Passed, up(0), None),
            (up(1), Failed, up(2), None),
            (up(2), Passed, up(0), None),
            (up(2), Failed, down(0), Some(false)),
            (down(0), Passed, down(1), None),
            (down(0), Failed, down(0), None),
            (down(1), Passed, up(0), Some(true)),
            (down(1), Failed, down(0), None),
        ] {
            let mut health = Health::new(fall, rise, None);
            health.state = before;
            let said = health.handle_result(outcome);
            assert_eq!(
                (health.state, said),
                (after, news),
                "{before:?}, {outcome:?}"
            );
        }
    }

    #[test]
    fn with_counts_of_one_every_result_decides() {
        let mut health = Health::new(1, 1, None);
        let results = [Passed, Passed, Failed, Failed, Passed];
        let news = results.map(|result| health.handle_result(result));
        assert_eq!(news, [Some(true), None, Some(false), None, Some(true)]);
    }
}

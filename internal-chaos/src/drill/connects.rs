//! What became of new connections around a fault.

use std::time::Duration;

use serde::Serialize;

use crate::window::Window;
use crate::workload::{Attempt, Outcome};

/// A new connection this often.
pub const CADENCE: Duration = Duration::from_millis(20);

/// New connections begun inside a window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Connects {
    pub attempts: usize,
    pub failed: usize,
    /// Connected, then broken.
    pub broken: usize,
    /// From the connect to the echo or the failure, the slowest. Those that broke had connected.
    pub longest_wait_ms: f64,
    /// The longest time inside the window in which no new connection got its echo, beyond the
    /// cadence.
    pub longest_without_ms: f64,
    pub first_error: Option<String>,
}

impl Connects {
    /// Judges `attempts`, ascending by their ends.
    pub fn within(window: Window, attempts: &[Attempt]) -> Self {
        let begun = attempts
            .iter()
            .filter(|attempt| window.contains(attempt.begun));
        let count = |is: fn(&Outcome) -> bool| {
            let outcomes = begun.clone().map(|attempt| &attempt.outcome);
            outcomes.filter(|outcome| is(outcome)).count()
        };
        let connected = |attempt: &&Attempt| !matches!(attempt.outcome, Outcome::Broken(_));
        let waits = begun.clone().filter(connected);
        let waits = waits.map(|attempt| attempt.ended - attempt.begun);
        let echoed = |attempt: &&Attempt| attempt.outcome == Outcome::Echoed;
        let successes = attempts.iter().filter(echoed).map(|attempt| attempt.ended);
        let without = window.longest_gap(successes).length.saturating_sub(CADENCE);
        Self {
            attempts: begun.clone().count(),
            failed: count(|outcome| matches!(outcome, Outcome::Failed { .. })),
            broken: count(|outcome| matches!(outcome, Outcome::Broken(_))),
            longest_wait_ms: millis(waits.max().unwrap_or_default()),
            longest_without_ms: millis(without),
            first_error: begun
                .clone()
                .find_map(|attempt| attempt.outcome.error().map(str::to_owned)),
        }
    }
}

/// As the tables have it.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn waits_and_silence_are_told_apart() {
        let ms = Duration::from_millis;
        let fault = Instant::now() + ms(1_000);
        let attempt = |begun: u64, took: u64, outcome: Outcome| Attempt {
            begun: fault + ms(begun),
            ended: fault + ms(begun + took),
            outcome,
        };
        let mut attempts: Vec<Attempt> = (0..130)
            .map(|n| match n * 20 {
                // All that begin in the stall end together.
                begun @ 100..400 => attempt(begun, 400 - begun, Outcome::Echoed),
                420 => {
                    let (reply, error) = (Some(3), "no".to_owned());
                    attempt(420, 3, Outcome::Failed { reply, error })
                }
                440 => attempt(440, 900, Outcome::Broken("cut".to_owned())),
                begun => attempt(begun, 1, Outcome::Echoed),
            })
            .collect();
        attempts.sort_by_key(|attempt| attempt.ended);
        let seen = Connects::within(Window::around(fault), &attempts);
        assert_eq!((seen.attempts, seen.failed, seen.broken), (126, 1, 1));
        assert_eq!(seen.longest_wait_ms, 300.0);
        assert_eq!(seen.longest_without_ms, 400.0 - 81.0 - 20.0);
        assert_eq!(seen.first_error.as_deref(), Some("no"));
    }
}

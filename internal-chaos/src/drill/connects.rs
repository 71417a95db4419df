//! New connections, one after the other at a steady pace: connect through the proxy, echo a byte,
//! close. A slow one does not hold up the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::window::Window;
use crate::workload::echo::ping_within;
use crate::workload::socks::{CONNECT_LIMIT, ConnectError, Route, Target};

/// A new connection this often.
pub const CADENCE: Duration = Duration::from_millis(20);

/// One new connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub begun: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Echoed,
    /// The proxy refused, with this SOCKS5 reply, or did not answer in time.
    Failed {
        reply: Option<u8>,
        error: String,
    },
    /// The proxy said that it was connected, but no echo came.
    Broken(String),
}

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

/// Opens a connection every `cadence`, of which each may take `limit` until it is open and as long until
/// it is answered, until `stop`, then waits for those under way.
pub async fn run(
    route: Route,
    echo: Target,
    cadence: Duration,
    limit: Duration,
    stop: Arc<AtomicBool>,
) -> Vec<Attempt> {
    let mut pace = interval(cadence);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = JoinSet::new();
    let mut ended = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let (route, echo) = (route.clone(), echo.clone());
        under_way.spawn(async move { attempt_within(&route, &echo, limit).await });
        while let Some(joined) = under_way.try_join_next() {
            ended.extend(joined);
        }
    }
    while let Some(joined) = under_way.join_next().await {
        ended.extend(joined);
    }
    ended.sort_by_key(|attempt| attempt.ended);
    ended
}

/// One connection: connect, echo a byte, close.
pub async fn attempt(route: &Route, echo: &Target) -> Attempt {
    attempt_within(route, echo, CONNECT_LIMIT).await
}

/// The same; the connect and the echo may take so long each.
pub async fn attempt_within(route: &Route, echo: &Target, limit: Duration) -> Attempt {
    let begun = Instant::now();
    let outcome = match route.connect_within(echo, limit).await {
        Err(error) => Outcome::Failed {
            reply: match error {
                ConnectError::Refused { reply, .. } => Some(reply),
                _ => None,
            },
            error: chain(error),
        },
        Ok(mut stream) => match ping_within(&mut stream, b'n', limit).await {
            Err(error) => Outcome::Broken(chain(error)),
            Ok(()) => Outcome::Echoed,
        },
    };
    Attempt {
        begun,
        ended: Instant::now(),
        outcome,
    }
}

fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
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
            first_error: begun.clone().find_map(|attempt| match &attempt.outcome {
                Outcome::Echoed => None,
                Outcome::Failed { error, .. } | Outcome::Broken(error) => Some(error.clone()),
            }),
        }
    }
}

/// As the tables have it.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
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

//! New connections: connect, echo a byte, close; one, or one after the other at a steady pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::echo::ping_within;
use super::socks::{CONNECT_LIMIT, ConnectError, Route, Target};

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

impl Outcome {
    /// What went wrong.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Echoed => None,
            Self::Failed { error, .. } | Self::Broken(error) => Some(error),
        }
    }
}

/// One connection to an echo server.
pub async fn attempt(route: &Route, echo: &Target) -> Attempt {
    attempt_within(route, echo, CONNECT_LIMIT).await
}

/// The same; the connect and the echo may take so long each.
pub async fn attempt_within(route: &Route, echo: &Target, limit: Duration) -> Attempt {
    let begun = Instant::now();
    let outcome = match route.connect_within(echo, limit).await {
        Err(error) => return refused(begun, error),
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

/// One that began then and did not come about.
pub fn refused(begun: Instant, error: ConnectError) -> Attempt {
    let reply = match error {
        ConnectError::Refused { reply, .. } => Some(reply),
        _ => None,
    };
    Attempt {
        begun,
        ended: Instant::now(),
        outcome: Outcome::Failed {
            reply,
            error: chain(error),
        },
    }
}

fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// Opens a connection every `cadence`, of which each may take `limit` until it is open and as long until
/// it is answered, until `stop`, then waits for those under way. A slow one does not hold up the next.
pub async fn paced(
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

//! What the server needs besides the agent.

use std::sync::Arc;
use std::time::Duration;

use super::Metrics;
use crate::config::{Config, PasswordHash};
use crate::identity::Checks;

/// How long a connection may last in each phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// To send a request's head, and to stay idle between two requests.
    pub(super) head: Duration,
    /// From accept until the answer under way is the last: whoever reads slowly is cut after it.
    pub(super) lifetime: Duration,
    /// To finish the last answer.
    pub(super) grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // Checks every 5 s and scrapes every 15 s keep their connection.
            head: Duration::from_secs(20),
            lifetime: Duration::from_secs(300),
            grace: Duration::from_secs(10),
        }
    }
}

/// They are the same for all connections.
#[derive(Clone)]
pub struct Settings {
    /// Management is for who holds its token.
    pub token_hash: Option<PasswordHash>,
    /// With a token: loopback needs none.
    pub trust_loopback: bool,
    /// `limits.http_connections`.
    pub connections: usize,
    /// Where tokens take their turn to be hashed.
    pub checks: Arc<Checks>,
    pub metrics: Metrics,
    pub(super) timeouts: Timeouts,
}

impl Settings {
    /// The settings that `config` asks for.
    pub fn new(config: &Config, checks: Arc<Checks>, metrics: Metrics) -> Self {
        Self {
            token_hash: config.http.as_ref().and_then(|h| h.token_hash.clone()),
            trust_loopback: config.http.as_ref().is_some_and(|h| h.trust_loopback),
            connections: config.limits.http_connections,
            checks,
            metrics,
            timeouts: Timeouts::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(timeouts: Timeouts) -> Self {
        Self {
            token_hash: None,
            trust_loopback: false,
            connections: 64,
            checks: Checks::new(2, 16),
            metrics: Metrics::default(),
            timeouts,
        }
    }
}

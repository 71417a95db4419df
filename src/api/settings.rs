//! What the server needs besides the agent.

use std::sync::Arc;
use std::time::Duration;

use super::Metrics;
use super::access::Access;
use crate::config::Config;
#[cfg(test)]
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
    pub access: Arc<Access>,
    /// `limits.http_connections`.
    pub connections: usize,
    pub metrics: Metrics,
    pub(super) timeouts: Timeouts,
}

impl Settings {
    /// The settings that `config` asks for.
    pub fn new(config: &Config, access: Arc<Access>, metrics: Metrics) -> Self {
        Self {
            access,
            connections: config.limits.http_connections,
            metrics,
            timeouts: Timeouts::default(),
        }
    }

    /// Management takes this token, and loopback none if that is trusted.
    #[cfg(test)]
    pub(crate) fn with_token(self, token: &str, trust_loopback: bool) -> Self {
        let hash = bcrypt::hash(token, 4).unwrap();
        let http = crate::config::Http {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
            token_hash: Some(crate::config::PasswordHash::inline(hash)),
            trust_loopback,
            socket: crate::config::ApiSocket::Off,
            agent_check: None,
            agent_check_weight: false,
        };
        let access = Access::new(Some(&http), Checks::new(2, 16));
        Self {
            access: Arc::new(access),
            ..self
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(timeouts: Timeouts) -> Self {
        Self {
            access: Arc::new(Access::new(None, Checks::new(2, 16))),
            connections: 64,
            metrics: Metrics::default(),
            timeouts,
        }
    }
}

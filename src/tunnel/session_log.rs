//! Sessions that opened and ended: listed for people, and counted.

use super::journal::{Entry, Journal, Numbers};
use super::metrics::Metrics;
use super::side::Side;
use crate::identity::AgentId;

/// Changes that are remembered: some minutes of an agent whose sessions come and go.
const CHANGES: usize = 256;

/// Characters of a reason that are kept: the other end may have written it.
const REASON: usize = 200;

/// A session opened or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionChange {
    /// Which end of the session this agent is.
    pub side: Side,
    /// The other end.
    pub peer: AgentId,
    /// Why it ended; `None`: it opened.
    pub ended: Option<String>,
}

/// The latest changes. Cloning shares them.
#[derive(Clone)]
pub struct SessionLog {
    changes: Journal<SessionChange>,
    metrics: Metrics,
}

impl SessionLog {
    pub(crate) fn new(metrics: Metrics, numbers: &Numbers) -> Self {
        Self {
            changes: Journal::new(CHANGES, numbers),
            metrics,
        }
    }

    pub(crate) fn opened(&self, side: Side, peer: AgentId) {
        self.metrics.opened(side);
        self.record(side, peer, None);
    }

    pub(crate) fn ended(&self, side: Side, peer: AgentId, reason: &str) {
        self.metrics.ended(side);
        self.record(side, peer, Some(reason.chars().take(REASON).collect()));
    }

    /// The latest changes, the newest last.
    pub fn snapshot(&self) -> Vec<Entry<SessionChange>> {
        self.changes.snapshot()
    }

    fn record(&self, side: Side, peer: AgentId, ended: Option<String>) {
        self.changes.record(SessionChange { side, peer, ended });
    }
}

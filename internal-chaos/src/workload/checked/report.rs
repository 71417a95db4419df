//! What a load saw.

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::protocol::Answer;

/// Errors that a report quotes: enough to see what they have in common.
const MOST_ERRORS: usize = 8;

/// What a load saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Data bytes that arrived, both directions together.
    pub bytes: u64,
    /// Those of them that are an exact prefix of what their sender sent. Less than `bytes` only if
    /// something is damaged.
    pub exact: u64,
    pub connections: Outcomes,
    /// What arrived wrong. Anything here is a defect of what carried it.
    pub damaged: Vec<String>,
    /// Times without progress while a stream was under way, and times that requests took.
    pub stalls: Histogram,
    /// The first few, of connections that failed or broke.
    pub errors: Vec<String>,
    pub seconds: f64,
}

/// What became of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// All streams complete and exact, both ends agree.
    pub ok: u64,
    /// Not opened.
    pub failed: u64,
    /// Opened, and cut, hung or damaged.
    pub broken: u64,
}

/// What one connection saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub bytes: u64,
    pub exact: u64,
    pub stalls: Histogram,
    /// An upload broke before the target said what arrived.
    pub(super) unanswered: bool,
    pub ending: Ending,
}

/// How one connection ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    #[default]
    Complete,
    /// Not opened.
    Failed(String),
    Broken(String),
    Damaged(String),
}

impl Seen {
    /// Adds what the target saw.
    pub(super) fn count_upload(&mut self, answer: Answer) {
        self.bytes += answer.bytes;
        self.exact += answer.exact;
        self.stalls.merge(&answer.stalls);
        if let Some(damage) = answer.damage {
            let before = std::mem::take(&mut self.ending);
            self.ending = before.and(Ending::Damaged(format!("at the target: {damage}")));
        }
    }
}

impl Ending {
    /// The worse of two: damage, then a break.
    pub(super) fn and(self, other: Self) -> Self {
        let rank = |ending: &Self| match ending {
            Self::Complete => 0,
            Self::Failed(_) => 1,
            Self::Broken(_) => 2,
            Self::Damaged(_) => 3,
        };
        if rank(&other) > rank(&self) {
            other
        } else {
            self
        }
    }
}

impl Report {
    /// Whether nothing failed, broke or was damaged.
    pub fn is_clean(&self) -> bool {
        self.connections.failed == 0 && self.connections.broken == 0 && self.damaged.is_empty()
    }

    pub(super) fn add(&mut self, seen: Seen) {
        self.bytes += seen.bytes;
        self.exact += seen.exact;
        self.stalls.merge(&seen.stalls);
        match seen.ending {
            Ending::Complete => self.connections.ok += 1,
            Ending::Failed(error) => {
                self.connections.failed += 1;
                self.quote(error);
            }
            Ending::Broken(error) => {
                self.connections.broken += 1;
                self.quote(error);
            }
            Ending::Damaged(damage) => {
                self.connections.broken += 1;
                self.damaged.push(damage);
            }
        }
    }

    fn quote(&mut self, error: String) {
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(error);
        }
    }
}

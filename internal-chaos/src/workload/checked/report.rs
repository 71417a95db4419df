//! What a load saw.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::protocol::Answer;

/// Upper bounds of the buckets of a [`Histogram`], in ms: a 1-2-5 ladder from the pace of a loaded
/// link to the longest that anyone waits.
pub const BOUNDS_MS: [u64; 10] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

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

/// Durations by size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many were at most as long as each of [`BOUNDS_MS`] and longer than the one before; the
    /// last one counts all that were longer.
    pub counts: [u64; BOUNDS_MS.len() + 1],
    pub longest_us: u64,
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

impl Histogram {
    pub fn add(&mut self, time: Duration) {
        let millis = time.as_nanos().div_ceil(1_000_000);
        let bucket = BOUNDS_MS
            .iter()
            .position(|bound| millis <= u128::from(*bound));
        self.counts[bucket.unwrap_or(BOUNDS_MS.len())] += 1;
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.longest_us = self.longest_us.max(micros);
    }

    /// As if everything that the other saw had been added here.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.longest_us = self.longest_us.max(other.longest_us);
    }

    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.longest_us)
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

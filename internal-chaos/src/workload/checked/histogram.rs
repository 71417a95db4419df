//! Durations by size.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets of a [`Histogram`], in ms: a 1-2-5 ladder from the pace of a loaded
/// link to the longest that anyone waits.
pub const BOUNDS_MS: [u64; 10] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

/// Durations by size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many were at most as long as each of [`BOUNDS_MS`] and longer than the one before; the
    /// last one counts all that were longer.
    pub counts: [u64; BOUNDS_MS.len() + 1],
    pub longest_us: u64,
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

//! Time as the core sees it: handed in, never read.

use std::time::Instant;

/// One moment by both clocks. The monotonic one drives timers; the wall clock dates
/// advertisements and may jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub instant: Instant,
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
}

/// How far `a` is ahead of `b`, milliseconds; negative: behind.
pub(super) fn ms_ahead(a: u64, b: u64) -> i64 {
    let apart = i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX);
    if a < b { -apart } else { apart }
}

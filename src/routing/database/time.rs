//! Time as the core sees it: handed in, never read; and how often what is said.

use std::time::{Duration, Instant};

/// How far clocks may be apart, as docs/operations.md asks of operators (*Limits of the host*).
pub(super) const CLOCK_SLACK_MS: u64 = 120_000;

/// Least time between two alarms of one kind.
pub(super) const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// Links that come up are told at most once in this time: an agent of hundreds of links that starts
/// would issue as many advertisements, each longer than the last.
pub(super) const RUSH: Duration = Duration::from_millis(100);

/// Changes of links and routes are told at most once in this time.
pub(super) const BATCH: Duration = Duration::from_secs(1);

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

/// Whether `interval` has passed since `last`; if so the next one counts from now.
pub(super) fn due(last: &mut Option<Instant>, now: Instant, interval: Duration) -> bool {
    let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= interval);
    if is_due {
        *last = Some(now);
    }
    is_due
}

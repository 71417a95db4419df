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

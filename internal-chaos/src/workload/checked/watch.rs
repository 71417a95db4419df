//! A stream as somebody sees it who is neither of its ends, and tells its sender to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What arrived of one connection so far. Both ends share it if they are in one process.
#[derive(Debug, Default)]
pub struct Watch {
    /// Whether to keep every read, not only their number: that takes memory with time.
    remembers: bool,
    stopped: AtomicBool,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    reads: u64,
    /// Data, lengths and tags.
    bytes: u64,
    arrivals: Vec<(Instant, usize)>,
}

impl Watch {
    /// One that keeps every read.
    pub fn remembering() -> Self {
        Self {
            remembers: true,
            ..Self::default()
        }
    }

    /// Tells the sender to end.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Reads at the receiving end so far.
    pub fn reads(&self) -> u64 {
        self.log().reads
    }

    /// Bytes that arrived so far.
    pub fn bytes(&self) -> u64 {
        self.log().bytes
    }

    /// When how much arrived, if it was to be kept.
    pub fn take_arrivals(&self) -> Vec<(Instant, usize)> {
        std::mem::take(&mut self.log().arrivals)
    }

    pub(super) fn arrived(&self, when: Instant, count: usize) {
        let mut log = self.log();
        log.reads += 1;
        log.bytes += count as u64;
        if self.remembers {
            log.arrivals.push((when, count));
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // What a panicked thread logged is still true.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

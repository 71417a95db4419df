//! What a receive loop does at a port that takes no more: it waits a little, for a tenth of its time at
//! most.
//!
//! Whatever arrived behind the packets that wait, heartbeats too, waits with them. So a port that is
//! full for longer than a burst takes costs the loop that part of its time, and packets, however many
//! come and however many such ports there are: an interface slower than what is to leave by it delays
//! nobody else by much.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::adjacency::{Adjacency, Packets};
use super::metrics::DropReason;
use crate::clock;

/// How long packets wait for a full port. Longer than a burst takes to drain, short beside a heartbeat.
const WAIT: Duration = Duration::from_millis(5);

/// A wait is earned in so many times its length.
const EARNED_IN: u32 = 10;

/// What a receive loop may wait.
pub(super) struct Blocked {
    left: Duration,
    /// When `left` was right.
    at: Instant,
}

impl Blocked {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: WAIT,
            at: now,
        }
    }

    /// Sends packets to `next`; waits for its port if a whole wait is left.
    pub(super) async fn send(
        &mut self,
        next: &Arc<Adjacency>,
        packets: &Packets<'_>,
    ) -> Result<(), DropReason> {
        match next.send(packets) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(DropReason::Send),
        }
        let began = clock::now();
        let earned = began.saturating_duration_since(self.at) / EARNED_IN;
        (self.left, self.at) = ((self.left + earned).min(WAIT), began);
        if self.left < WAIT {
            return Err(DropReason::Blocked);
        }
        let writable = tokio::time::timeout(WAIT, next.writable()).await;
        self.left = self.left.saturating_sub(clock::since(began));
        self.at = clock::now();
        match writable {
            Ok(Ok(())) if next.send(packets).is_ok() => Ok(()),
            Ok(_) | Err(_) => Err(DropReason::Blocked),
        }
    }
}

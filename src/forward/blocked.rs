//! What a receive loop does at a neighbour whose port takes no more: it waits a little, once.
//!
//! Whatever arrived behind the run that waits, heartbeats too, waits with it. So a port that is full
//! for longer than a burst takes costs the loop that wait once, and packets until there is room
//! again, however many come: an interface slower than what is to leave by it delays nobody else.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::adjacency::{Adjacency, Packets};
use super::metrics::DropReason;
use crate::clock;

/// How long runs wait for a full port. Longer than a burst takes to drain, short beside a heartbeat.
const WAIT: Duration = Duration::from_millis(5);

/// Whose port was found full last.
#[derive(Default)]
pub(super) struct Blocked {
    /// And since when it has taken nothing.
    full: Option<(Arc<Adjacency>, Instant)>,
}

impl Blocked {
    /// Sends packets to `next`; waits if its port is not known to be full for long.
    pub(super) async fn send(
        &mut self,
        next: &Arc<Adjacency>,
        packets: &Packets<'_>,
    ) -> Result<(), DropReason> {
        match next.send(packets) {
            Ok(()) => {
                self.full.take_if(|(full, _)| full.shares_room(next));
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(DropReason::Send),
        }
        let left = WAIT.saturating_sub(clock::since(self.full_since(next)));
        if left.is_zero() {
            return Err(DropReason::Blocked);
        }
        match tokio::time::timeout(left, next.writable()).await {
            Ok(Ok(())) if next.send(packets).is_ok() => {
                self.full = None;
                Ok(())
            }
            Ok(_) | Err(_) => Err(DropReason::Blocked),
        }
    }

    fn full_since(&mut self, next: &Arc<Adjacency>) -> Instant {
        match &self.full {
            Some((full, since)) if full.shares_room(next) => *since,
            Some(_) | None => {
                let now = clock::now();
                self.full = Some((next.clone(), now));
                now
            }
        }
    }
}

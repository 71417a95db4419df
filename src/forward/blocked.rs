//! What a receive loop does at a port that takes no more: it waits a little, once.
//!
//! Whatever arrived behind the run that waits, heartbeats too, waits with it. So a port that is full
//! for longer than a burst takes costs the loop that wait once, and packets until there is room
//! again, however many come: an interface slower than what is to leave by it delays nobody else.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::metrics::DropReason;
use super::port::{Port, Run};
use crate::clock;

/// How long runs wait for a full port. Longer than a burst takes to drain, short beside a heartbeat.
const WAIT: Duration = Duration::from_millis(5);

/// The port that was found full last.
#[derive(Default)]
pub(super) struct Blocked {
    /// And since when it has taken nothing.
    full: Option<(Arc<Port>, Instant)>,
}

impl Blocked {
    /// Sends a run; waits if the port is not known to be full for long.
    pub(super) async fn send(&mut self, port: &Arc<Port>, run: &Run<'_>) -> Result<(), DropReason> {
        match port.send(run) {
            Ok(()) => {
                self.full.take_if(|(full, _)| Arc::ptr_eq(full, port));
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(DropReason::Send),
        }
        let left = WAIT.saturating_sub(clock::since(self.full_since(port)));
        if left.is_zero() {
            return Err(DropReason::Blocked);
        }
        match tokio::time::timeout(left, port.writable()).await {
            Ok(Ok(())) if port.send(run).is_ok() => {
                self.full = None;
                Ok(())
            }
            Ok(_) | Err(_) => Err(DropReason::Blocked),
        }
    }

    fn full_since(&mut self, port: &Arc<Port>) -> Instant {
        match &self.full {
            Some((full, since)) if Arc::ptr_eq(full, port) => *since,
            Some(_) | None => {
                let now = clock::now();
                self.full = Some((port.clone(), now));
                now
            }
        }
    }
}

//! Makes an endpoint's connections send at once instead of waiting for a backed-off time-out.
//!
//! quinn offers that only for all connections of an endpoint (`rebind_abstract`), and each answers
//! with a PING and a new connection id. So kicks are joined: at most one per interval, however many
//! sessions move, and whoever makes them move; and the more connections there are, the fewer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use quinn::Endpoint;
use tokio::time::sleep_until;
use tracing::debug;

use crate::clock;
use crate::task::{self, Served};
use crate::tunnel::socket::virtual_socket::VirtualSocket;

/// Least time between two kicks: as often as a session is kicked whose path is doubted.
const INTERVAL: Duration = Duration::from_millis(20);

/// What a kick costs for each connection, in time until the budget is whole again: 5,000 connections
/// are kicked in a second at most. So up to 100 of them are kicked every [`INTERVAL`].
const COST: Duration = Duration::from_micros(200);

/// What may be owed: a thousand sessions are kicked at the pace of a young doubt for its first
/// 100 ms, and five times a second after that.
const BURST: Duration = Duration::from_secs(1);

/// Kicks one endpoint.
pub(crate) struct Kicker {
    endpoint: Endpoint,
    socket: Arc<VirtualSocket>,
    budget: Mutex<Budget>,
    waiting: AtomicBool,
}

/// When kicks may leave.
#[derive(Debug, Default)]
struct Budget {
    last: Option<Instant>,
    /// When everything kicked so far will be paid for.
    paid: Option<Instant>,
}

impl Kicker {
    pub(crate) fn new(endpoint: Endpoint, socket: Arc<VirtualSocket>) -> Arc<Self> {
        Arc::new(Self {
            endpoint,
            socket,
            budget: Mutex::default(),
            waiting: AtomicBool::new(false),
        })
    }

    /// Kicks now, or as soon as the budget allows.
    pub(crate) fn kick(self: &Arc<Self>) {
        let due = self.budget().due();
        match due.filter(|due| *due > clock::now()) {
            None => self.kick_now(),
            Some(due) if !self.waiting.swap(true, Ordering::Relaxed) => {
                let kicker = self.clone();
                task::serve(Served::Session, async move {
                    sleep_until(due.into()).await;
                    kicker.waiting.store(false, Ordering::Relaxed);
                    kicker.kick_now();
                });
            }
            // One is on its way.
            Some(_) => {}
        }
    }

    fn kick_now(&self) {
        let connections = self.endpoint.open_connections();
        self.budget().handle_kick(clock::now(), connections);
        if let Err(error) = self.endpoint.rebind_abstract(self.socket.clone()) {
            debug!(%error, "kick failed");
        }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().expect("no panic while locked")
    }
}

impl Budget {
    /// When the next kick may leave; `None`: whenever it is wanted.
    fn due(&self) -> Option<Instant> {
        let spaced = self.last? + INTERVAL;
        let affordable = self.paid?.checked_sub(BURST);
        Some(affordable.map_or(spaced, |at| at.max(spaced)))
    }

    /// So many connections were kicked.
    fn handle_kick(&mut self, now: Instant, connections: usize) {
        let count = u32::try_from(connections).unwrap_or(u32::MAX);
        let owing = self.paid.map_or(now, |paid| paid.max(now));
        self.paid = Some(owing + COST.saturating_mul(count));
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// When kicks leave within a second, ms, if one is wanted all the time.
    fn kicks(connections: usize) -> Vec<u32> {
        let (start, mut budget) = (Instant::now(), Budget::default());
        let mut left = Vec::new();
        for ms in 0..1_000 {
            let now = start + ms * MS;
            if budget.due().is_none_or(|due| due <= now) {
                budget.handle_kick(now, connections);
                left.push(ms);
            }
        }
        left
    }

    #[test]
    fn few_connections_are_kicked_at_every_interval() {
        for connections in [0, 1, 100] {
            let every: Vec<u32> = (0..1_000).step_by(20).collect();
            assert_eq!(kicks(connections), every, "{connections} connections");
        }
    }

    #[test]
    fn many_are_kicked_as_often_in_a_young_doubt_and_seldom_later() {
        let left = kicks(1_000);
        assert_eq!(left[..6], [0, 20, 40, 60, 80, 100]);
        assert!(left.len() <= 11, "{left:?}");
        assert_eq!(kicks(10_000), [0], "the next one in a second");
    }
}

//! Makes an endpoint's connections send at once instead of waiting for a backed-off time-out.
//!
//! quinn offers that only for all connections of an endpoint (`rebind_abstract`), and each answers
//! with a PING and a new connection id. So kicks are joined: at most one per interval, however many
//! sessions move, and whoever makes them move.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quinn::Endpoint;
use tokio::time::sleep_until;
use tracing::debug;

use super::virtual_socket::VirtualSocket;
use crate::clock;

/// Least time between two kicks: as often as a session is kicked whose path is doubted.
const INTERVAL: Duration = Duration::from_millis(20);

/// Kicks one endpoint.
pub(super) struct Kicker {
    endpoint: Endpoint,
    socket: Arc<VirtualSocket>,
    last: Mutex<Option<Instant>>,
    waiting: AtomicBool,
}

impl Kicker {
    pub(super) fn new(endpoint: Endpoint, socket: Arc<VirtualSocket>) -> Arc<Self> {
        Arc::new(Self {
            endpoint,
            socket,
            last: Mutex::new(None),
            waiting: AtomicBool::new(false),
        })
    }

    /// Kicks now, or as soon as the interval allows.
    pub(super) fn kick(self: &Arc<Self>) {
        let last = *self.last.lock().expect("no panic while locked");
        let due = last.map(|last| last + INTERVAL);
        match due.filter(|due| *due > clock::now()) {
            None => self.kick_now(),
            Some(due) if !self.waiting.swap(true, Ordering::Relaxed) => {
                let kicker = self.clone();
                tokio::spawn(async move {
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
        *self.last.lock().expect("no panic while locked") = Some(clock::now());
        if let Err(error) = self.endpoint.rebind_abstract(self.socket.clone()) {
            debug!(%error, "kick failed");
        }
    }
}

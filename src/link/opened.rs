//! What links share, and a connection that may become one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::event::LinkEvent;
use super::hello::{Greeting, STOOD_STILL};
use super::standstill::Standstill;
use super::table::Links;
use super::transport::Connection;
use crate::clock;
use crate::forward::{Adjacency, Fib};
use crate::identity::AgentId;
use crate::wire::Hello;

/// What all links of an agent share.
pub struct LinkContext {
    pub own: AgentId,
    /// What we say first; `cost` is filled in per link.
    pub hello: Hello,
    pub heartbeat: Duration,
    pub dead_after: u32,
    pub handshake_timeout: Duration,
    pub control_message: usize,
    pub control_queue: usize,
    pub standstill: Arc<Standstill>,
    pub links: Arc<Links>,
    pub fib: Arc<Fib>,
    pub events: mpsc::Sender<LinkEvent>,
}

impl LinkContext {
    /// What is said first on a link of that cost, opened now.
    pub(super) fn hello(&self, cost: u32) -> Hello {
        let stood_still = match self.standstill.just_woke() {
            true => STOOD_STILL,
            false => 0,
        };
        Hello {
            cost,
            time_ms: Some(clock::unix_ms()),
            features: self.hello.features | stood_still,
            ..self.hello.clone()
        }
    }
}

/// A connection whose neighbour was authenticated and said hello.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) neighbor: AgentId,
    pub(super) dialled: bool,
    pub(super) greeting: Greeting,
    /// The way of its data.
    pub(super) adjacency: Arc<Adjacency>,
    /// The token that we announced.
    pub(super) token_in: u64,
    pub(super) cost: u32,
    /// Largest UDP payload known to pass, bytes.
    pub(super) mtu: u16,
}

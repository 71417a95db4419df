//! A live link as the data plane sees it: where its packets leave, and what it owes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn_udp::EcnCodepoint;

use super::port::{Port, Run};
use super::recent::Recent;
use crate::identity::{AgentId, ShortId};

/// At most one path error in this time for each adjacency, next hop and source, so that a broken
/// path does not cost more than it did while it worked.
const PATH_ERROR_INTERVAL: Duration = Duration::from_millis(50);

/// Path errors per adjacency in that time, all together: what a header claims is not proved, so a
/// neighbour could name any number of next hops and sources.
const PATH_ERRORS: usize = 32;

/// A live link as the data plane sees it.
#[derive(Debug)]
pub struct Adjacency {
    pub neighbor: AgentId,
    port: Arc<Port>,
    /// What to put on packets sent to this neighbour.
    token_out: AtomicU64,
    remote: Mutex<Remote>,
    /// Microseconds after the table's start when the neighbour was last heard.
    pub(super) heard_us: AtomicU64,
    /// Next hop and source of the path errors just reported.
    pub(super) path_errors: Mutex<Recent<(ShortId, ShortId)>>,
}

/// Where a neighbour is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    pub address: SocketAddr,
    /// Our own address on that way.
    pub source: Option<IpAddr>,
}

/// Equal-sized packets for one neighbour.
#[derive(Clone, Copy, Debug)]
pub struct Packets<'a> {
    pub ecn: Option<EcnCodepoint>,
    pub bytes: &'a [u8],
    /// Length of every packet but the last, which may be shorter.
    pub stride: usize,
}

impl Adjacency {
    /// A link with `neighbor` over `port`. `token_out` is the token that the neighbour announced.
    pub fn new(neighbor: AgentId, port: Arc<Port>, remote: Remote, token_out: u64) -> Arc<Self> {
        Arc::new(Self {
            neighbor,
            port,
            token_out: AtomicU64::new(token_out),
            remote: Mutex::new(remote),
            heard_us: AtomicU64::new(0),
            path_errors: Mutex::new(Recent::new(PATH_ERROR_INTERVAL, PATH_ERRORS)),
        })
    }

    /// The token for packets to this neighbour.
    pub fn token_out(&self) -> u64 {
        self.token_out.load(Ordering::Relaxed)
    }

    /// Takes a new token that the neighbour announced.
    pub fn set_token_out(&self, token: u64) {
        self.token_out.store(token, Ordering::Relaxed);
    }

    /// Where to send.
    pub fn remote(&self) -> Remote {
        *self.remote.lock().expect("no panic while locked")
    }

    pub(super) fn set_remote(&self, remote: Remote) {
        *self.remote.lock().expect("no panic while locked") = remote;
    }

    /// Sends data. `WouldBlock` while so much waits already that heartbeats would wait long; part of
    /// it may have left then, and may be sent again.
    pub fn send(&self, packets: &Packets<'_>) -> io::Result<()> {
        self.port.send(&self.run(packets))
    }

    /// Sends what data must not keep waiting.
    pub fn send_ahead(&self, packets: &Packets<'_>) -> io::Result<()> {
        self.port.send_ahead(&self.run(packets))
    }

    /// Waits until data may be sent.
    pub async fn writable(&self) -> io::Result<()> {
        self.port.writable().await
    }

    fn run<'a>(&self, packets: &Packets<'a>) -> Run<'a> {
        let remote = self.remote();
        Run {
            destination: remote.address,
            source: remote.source,
            ecn: packets.ecn,
            bytes: packets.bytes,
            stride: packets.stride,
        }
    }
}

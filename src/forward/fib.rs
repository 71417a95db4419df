//! The forwarding information base: which adjacency a token names, and where a next hop is.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::adjacency::{Adjacency, Remote};
use super::metrics::Metrics;
use crate::clock;
use crate::identity::ShortId;

/// Path errors waiting for the control streams; further ones are dropped.
const PATH_ERROR_QUEUE: usize = 256;

/// A packet could not go on; the neighbour that sent it is to be told.
#[derive(Clone, Debug)]
pub struct PathErrorReport {
    pub next_hop: ShortId,
    pub destination: ShortId,
    /// The way back to the packet's source, which is last; the first is who sent us the packet.
    pub back: Vec<ShortId>,
}

/// Every live adjacency, by token and by neighbour. Shared by all ports.
pub struct Fib {
    pub own: ShortId,
    pub metrics: Metrics,
    /// Whether packets for others are forwarded.
    transit: bool,
    tables: RwLock<Tables>,
    start: Instant,
    path_errors: mpsc::Sender<PathErrorReport>,
}

#[derive(Default)]
struct Tables {
    by_token: HashMap<u64, Arc<Adjacency>>,
    by_neighbor: HashMap<ShortId, Arc<Adjacency>>,
    /// The latest adjacency at each address, by [`place`].
    by_address: HashMap<(IpAddr, u16), Arc<Adjacency>>,
}

impl Tables {
    /// Forgets where `adjacency` is; a newer one at the same address stays.
    fn forget_address(&mut self, adjacency: &Arc<Adjacency>) {
        let address = place(adjacency.remote().address);
        if self
            .by_address
            .get(&address)
            .is_some_and(|current| Arc::ptr_eq(current, adjacency))
        {
            self.by_address.remove(&address);
        }
    }
}

impl Fib {
    /// An empty table for `own`, and the stream of path errors it will report.
    pub fn new(own: ShortId, transit: bool) -> (Arc<Self>, mpsc::Receiver<PathErrorReport>) {
        let (path_errors, reports) = mpsc::channel(PATH_ERROR_QUEUE);
        let fib = Self {
            own,
            metrics: Metrics::default(),
            transit,
            tables: RwLock::default(),
            start: clock::now(),
            path_errors,
        };
        (Arc::new(fib), reports)
    }

    /// Whether packets for others are forwarded.
    pub fn transit(&self) -> bool {
        self.transit
    }

    /// Makes `adjacency` the way to its neighbour.
    pub fn insert(&self, adjacency: Arc<Adjacency>) {
        let short = adjacency.neighbor.short();
        let mut tables = self.write();
        let address = place(adjacency.remote().address);
        tables.by_address.insert(address, adjacency.clone());
        tables.by_neighbor.insert(short, adjacency);
    }

    /// Sends what goes over `adjacency` to `remote` from now on.
    pub fn set_remote(&self, adjacency: &Arc<Adjacency>, remote: Remote) {
        let mut tables = self.write();
        tables.forget_address(adjacency);
        adjacency.set_remote(remote);
        tables
            .by_address
            .insert(place(remote.address), adjacency.clone());
    }

    /// Whether a live link is at `address`.
    pub(super) fn is_link(&self, address: SocketAddr) -> bool {
        self.read().by_address.contains_key(&place(address))
    }

    /// Lets packets with `token` in, as coming over `adjacency`.
    pub fn admit(&self, token: u64, adjacency: Arc<Adjacency>) {
        self.write().by_token.insert(token, adjacency);
    }

    /// Refuses packets with `token` from now on.
    pub fn revoke(&self, token: u64) {
        self.write().by_token.remove(&token);
    }

    /// Takes `adjacency` and its tokens out; a newer adjacency with that neighbour stays.
    pub fn remove(&self, adjacency: &Arc<Adjacency>) {
        let mut tables = self.write();
        let short = adjacency.neighbor.short();
        if tables
            .by_neighbor
            .get(&short)
            .is_some_and(|current| Arc::ptr_eq(current, adjacency))
        {
            tables.by_neighbor.remove(&short);
        }
        tables
            .by_token
            .retain(|_, current| !Arc::ptr_eq(current, adjacency));
        tables.forget_address(adjacency);
    }

    /// The adjacency whose packets carry `token`.
    pub fn by_token(&self, token: u64) -> Option<Arc<Adjacency>> {
        self.read().by_token.get(&token).cloned()
    }

    /// The adjacency with `neighbor`, if it is live.
    pub fn by_neighbor(&self, neighbor: ShortId) -> Option<Arc<Adjacency>> {
        self.read().by_neighbor.get(&neighbor).cloned()
    }

    /// Notes that `adjacency` was heard at `now`.
    pub fn heard(&self, adjacency: &Adjacency, now: Instant) {
        adjacency
            .heard_us
            .store(self.micros(now), Ordering::Relaxed);
    }

    /// When `adjacency` was last heard; `None` before the first time.
    pub fn last_heard(&self, adjacency: &Adjacency) -> Option<Instant> {
        match adjacency.heard_us.load(Ordering::Relaxed) {
            0 => None,
            us => Some(self.start + Duration::from_micros(us)),
        }
    }

    /// Reports that packets of `source` that came over `previous` cannot go on to `next_hop`; at
    /// most once per interval.
    pub(super) fn report_path_error(
        &self,
        previous: &Adjacency,
        (next_hop, source): (ShortId, ShortId),
        now: Instant,
        report: impl FnOnce() -> PathErrorReport,
    ) {
        let mut recent = previous.path_errors.lock().expect("no panic while locked");
        if recent.admit(now, (next_hop, source)) {
            // A full queue means that many errors are on their way already.
            let _ = self.path_errors.try_send(report());
        }
    }

    /// Microseconds after the start, never 0.
    fn micros(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start);
        (elapsed.as_micros() as u64).max(1)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Tables> {
        self.tables.read().expect("no panic while locked")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Tables> {
        self.tables.write().expect("no panic while locked")
    }
}

/// What names an address's host and port, whichever family the socket that saw it is of.
fn place(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

//! The open streams of this agent: for people, for byte counters, and for balancing.
//!
//! A stream is entered when its target is connected and leaves when its [`StreamGuard`] drops. The
//! table needs no bound of its own: an ingress admits at most `socks5.max_connections` of them, an
//! exit at most `limits.streams_per_session` for each of `limits.sessions`.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;

use super::side::Side;
use crate::clock;
use crate::identity::AgentId;

/// One open stream as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSnapshot {
    pub id: u64,
    pub side: Side,
    /// The agent at the other end: the exit at an ingress, the ingress at an exit.
    pub peer: AgentId,
    /// The client of an ingress; an exit does not know it.
    pub client: Option<SocketAddr>,
    /// `host:port` as asked for.
    pub target: String,
    /// How long it has been open.
    pub age: Duration,
    /// Bytes from the client to the target.
    pub bytes_up: u64,
    /// Bytes from the target to the client.
    pub bytes_down: u64,
}

/// All open streams of an agent.
#[derive(Debug)]
pub struct StreamTable {
    open: Mutex<Open>,
    emptied: Notify,
    streams: Gauge,
    bytes: Family<[(&'static str, &'static str); 1], Counter>,
    up: Counter,
    down: Counter,
}

#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    entries: BTreeMap<u64, Arc<Entry>>,
    /// Streams that we carry as their ingress, by exit.
    per_exit: HashMap<AgentId, usize>,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    side: Side,
    peer: AgentId,
    client: Option<SocketAddr>,
    target: Box<str>,
    opened: Instant,
    from_tcp: AtomicU64,
    to_tcp: AtomicU64,
}

/// A stream's place in the table; counts its bytes and frees the place when dropped.
#[derive(Debug)]
pub struct StreamGuard {
    table: Arc<StreamTable>,
    entry: Arc<Entry>,
}

impl StreamTable {
    /// An empty table.
    pub fn new() -> Arc<Self> {
        let bytes = Family::<[(&'static str, &'static str); 1], Counter>::default();
        let up = bytes.get_or_create_owned(&[("direction", "up")]);
        let down = bytes.get_or_create_owned(&[("direction", "down")]);
        Arc::new(Self {
            open: Mutex::default(),
            emptied: Notify::new(),
            streams: Gauge::default(),
            bytes,
            up,
            down,
        })
    }

    /// Adds this table's metrics: `streams`, `stream_bytes{direction="up"|"down"}` (up: client to
    /// target).
    pub fn register(&self, registry: &mut Registry) {
        registry.register("streams", "Open proxied connections", self.streams.clone());
        registry.register(
            "stream_bytes",
            "Bytes carried, up is from the client to the target",
            self.bytes.clone(),
        );
    }

    /// Enters a stream.
    pub fn open(
        self: &Arc<Self>,
        side: Side,
        peer: AgentId,
        client: Option<SocketAddr>,
        target: String,
    ) -> StreamGuard {
        let mut open = self.lock();
        open.next_id += 1;
        let entry = Arc::new(Entry {
            id: open.next_id,
            side,
            peer,
            client,
            target: target.into(),
            opened: clock::now(),
            from_tcp: AtomicU64::new(0),
            to_tcp: AtomicU64::new(0),
        });
        open.entries.insert(entry.id, entry.clone());
        if side == Side::Ingress {
            *open.per_exit.entry(peer).or_default() += 1;
        }
        self.streams.inc();
        StreamGuard {
            table: self.clone(),
            entry,
        }
    }

    /// Open streams.
    pub fn count(&self) -> usize {
        self.lock().entries.len()
    }

    /// Streams that we, as their ingress, have open through `exit`.
    pub fn open_through(&self, exit: AgentId) -> usize {
        self.lock().per_exit.get(&exit).copied().unwrap_or(0)
    }

    /// Every open stream, oldest first.
    pub fn snapshot(&self) -> Vec<StreamSnapshot> {
        let entries: Vec<_> = self.lock().entries.values().cloned().collect();
        entries.iter().map(|entry| entry.snapshot()).collect()
    }

    /// Waits until no stream is open.
    pub async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn snapshot(&self) -> StreamSnapshot {
        let from_tcp = self.from_tcp.load(Ordering::Relaxed);
        let to_tcp = self.to_tcp.load(Ordering::Relaxed);
        let (bytes_up, bytes_down) = match self.side {
            Side::Ingress => (from_tcp, to_tcp),
            Side::Exit => (to_tcp, from_tcp),
        };
        StreamSnapshot {
            id: self.id,
            side: self.side,
            peer: self.peer,
            client: self.client,
            target: self.target.to_string(),
            age: clock::since(self.opened),
            bytes_up,
            bytes_down,
        }
    }
}

impl StreamGuard {
    /// Counts bytes read from our TCP connection.
    pub fn count_from_tcp(&self, bytes: u64) {
        self.entry.from_tcp.fetch_add(bytes, Ordering::Relaxed);
        match self.entry.side {
            Side::Ingress => self.table.up.inc_by(bytes),
            Side::Exit => self.table.down.inc_by(bytes),
        };
    }

    /// Counts bytes written to our TCP connection.
    pub fn count_to_tcp(&self, bytes: u64) {
        self.entry.to_tcp.fetch_add(bytes, Ordering::Relaxed);
        match self.entry.side {
            Side::Ingress => self.table.down.inc_by(bytes),
            Side::Exit => self.table.up.inc_by(bytes),
        };
    }

    /// The stream's state now.
    pub fn snapshot(&self) -> StreamSnapshot {
        self.entry.snapshot()
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        let mut open = self.table.lock();
        open.entries.remove(&self.entry.id);
        if self.entry.side == Side::Ingress
            && let Some(count) = open.per_exit.get_mut(&self.entry.peer)
        {
            *count -= 1;
            if *count == 0 {
                open.per_exit.remove(&self.entry.peer);
            }
        }
        if open.entries.is_empty() {
            self.table.emptied.notify_waiters();
        }
        self.table.streams.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: AgentId = AgentId([7; 16]);

    #[test]
    fn streams_are_listed_counted_and_removed() {
        let table = StreamTable::new();
        let client = Some("127.0.0.1:50000".parse().unwrap());
        let first = table.open(Side::Ingress, EXIT, client, "a.example:80".to_owned());
        let second = table.open(Side::Exit, EXIT, None, "10.0.0.1:22".to_owned());
        first.count_from_tcp(3);
        first.count_to_tcp(5);
        second.count_from_tcp(7);
        let shown = table.snapshot();
        assert_eq!(shown.len(), 2);
        assert_eq!((shown[0].client, shown[1].client), (client, None));
        assert_eq!((shown[0].bytes_up, shown[0].bytes_down), (3, 5));
        assert_eq!((shown[1].bytes_up, shown[1].bytes_down), (0, 7));
        assert_eq!(table.open_through(EXIT), 1);
        assert_eq!((table.up.get(), table.down.get()), (3, 12));
        drop(first);
        assert_eq!((table.count(), table.open_through(EXIT)), (1, 0));
        assert_eq!(table.snapshot()[0].target, "10.0.0.1:22");
    }

    #[tokio::test]
    async fn a_drain_can_wait_for_the_last_stream() {
        let table = StreamTable::new();
        table.emptied().await;
        let guard = table.open(Side::Exit, EXIT, None, "10.0.0.1:22".to_owned());
        let waiter = tokio::spawn({
            let table = table.clone();
            async move { table.emptied().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        drop(guard);
        waiter.await.unwrap();
    }
}

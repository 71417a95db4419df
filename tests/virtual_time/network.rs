//! A network in memory: hosts with one address each, a condition for each direction between two of
//! them, and a task that delivers by tokio's timers, so that a paused clock pauses it too.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quinn_udp::{EcnCodepoint, Transmit};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use warren::forward::Port;

use crate::condition::Condition;
use crate::rng::Rng;
use crate::socket::{Arrival, Inbox, MemorySocket};

/// First port that is given to who asks for any.
const EPHEMERAL: u16 = 40_000;

/// A handle on the network; clones share it.
#[derive(Clone)]
pub(crate) struct Network(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// A packet arrives earlier than the task waits for.
    earlier: Notify,
}

struct State {
    rng: Rng,
    sockets: BTreeMap<SocketAddr, Arc<Inbox>>,
    /// By where packets are from and for.
    ways: BTreeMap<(IpAddr, IpAddr), Way>,
    /// The port that a host's packets to a peer come from, if its NAT changed it.
    outer: BTreeMap<(SocketAddr, SocketAddr), SocketAddr>,
    flights: BTreeMap<(Instant, u64), Flight>,
    sent: u64,
    taps: Vec<Tap>,
    next_port: u16,
}

struct Way {
    condition: Condition,
    /// No packet that keeps its order arrives before this.
    latest: Option<Instant>,
}

/// Somebody who looks at one direction.
struct Tap {
    from: IpAddr,
    to: IpAddr,
    copies: mpsc::UnboundedSender<Box<[u8]>>,
}

struct Flight {
    from: SocketAddr,
    to: SocketAddr,
    ecn: Option<EcnCodepoint>,
    bytes: Box<[u8]>,
}

impl Network {
    /// An empty network, and its task on the current runtime.
    pub(crate) fn start(rng: Rng) -> Self {
        let network = Self(Arc::new(Shared {
            state: Mutex::new(State {
                rng,
                sockets: BTreeMap::new(),
                ways: BTreeMap::new(),
                outer: BTreeMap::new(),
                flights: BTreeMap::new(),
                sent: 0,
                taps: Vec::new(),
                next_port: EPHEMERAL,
            }),
            earlier: Notify::new(),
        }));
        tokio::spawn(network.clone().deliver());
        network
    }

    /// Binds a port of the host at `ip`; port 0 is any.
    pub(crate) fn bind(&self, ip: IpAddr, port: u16) -> io::Result<Arc<Port>> {
        let mut state = self.lock();
        let port = match port {
            0 => {
                state.next_port += 1;
                state.next_port
            }
            port => port,
        };
        let local = SocketAddr::new(ip, port);
        let inbox = Arc::new(Inbox::default());
        if state.sockets.insert(local, inbox.clone()).is_some() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Port::over(Arc::new(MemorySocket::new(self.clone(), local, inbox)))
    }

    /// The host vanishes: its sockets neither send nor receive any more.
    pub(crate) fn unplug(&self, ip: IpAddr) {
        self.lock().sockets.retain(|local, _| local.ip() != ip);
    }

    /// Changes one direction.
    pub(crate) fn change(&self, from: IpAddr, to: IpAddr, change: impl FnOnce(&mut Condition)) {
        let mut state = self.lock();
        let way = state.ways.entry((from, to)).or_insert(Way {
            condition: Condition::clean(1),
            latest: None,
        });
        change(&mut way.condition);
    }

    /// What `host` sends to `peer` comes from other ports from now on, and nothing reaches it by
    /// the old ones: its NAT forgot.
    pub(crate) fn rebind(&self, host: IpAddr, peer: IpAddr) {
        let mut state = self.lock();
        let sockets: Vec<SocketAddr> = state.sockets.keys().copied().collect();
        let of = |ip: IpAddr| sockets.iter().filter(move |local| local.ip() == ip);
        for own in of(host) {
            for remote in of(peer) {
                state.next_port += 1;
                let outer = SocketAddr::new(host, state.next_port);
                state.outer.insert((*own, *remote), outer);
            }
        }
    }

    /// Copies of what one host sends to another from now on, at the moment at which it leaves.
    pub(crate) fn tap(&self, from: IpAddr, to: IpAddr) -> mpsc::UnboundedReceiver<Box<[u8]>> {
        let (copies, tapped) = mpsc::unbounded_channel();
        self.lock().taps.push(Tap { from, to, copies });
        tapped
    }

    /// Takes what a socket sends.
    pub(crate) fn send(&self, from: SocketAddr, inbox: &Arc<Inbox>, transmit: &Transmit<'_>) {
        let mut state = self.lock();
        let is_plugged = state
            .sockets
            .get(&from)
            .is_some_and(|i| Arc::ptr_eq(i, inbox));
        if !is_plugged {
            return;
        }
        let first = state.flights.keys().next().copied();
        let stride = transmit.segment_size.unwrap_or(transmit.contents.len());
        for packet in transmit.contents.chunks(stride.max(1)) {
            state.depart(from, transmit, packet);
        }
        if state.flights.keys().next().copied() != first {
            drop(state);
            self.0.earlier.notify_one();
        }
    }

    async fn deliver(self) {
        loop {
            let next = self.lock().flights.keys().next().map(|(at, _)| *at);
            match next {
                Some(at) => tokio::select! {
                    () = sleep_until(at) => self.lock().arrive(Instant::now()),
                    () = self.0.earlier.notified() => {}
                },
                None => self.0.earlier.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

impl State {
    fn depart(&mut self, from: SocketAddr, transmit: &Transmit<'_>, packet: &[u8]) {
        let to = transmit.destination;
        let Some(way) = self.ways.get_mut(&(from.ip(), to.ip())) else {
            return;
        };
        self.taps.retain(|tap| {
            let is_tapped = (tap.from, tap.to) == (from.ip(), to.ip());
            !is_tapped || tap.copies.send(packet.into()).is_ok()
        });
        let outer = self.outer.get(&(from, to)).copied().unwrap_or(from);
        for trip in way.condition.trips(&mut self.rng) {
            let mut at = Instant::now() + trip.takes.max(Duration::from_millis(1));
            if !trip.overtaken {
                at = way.latest.map_or(at, |latest| at.max(latest));
                way.latest = Some(at);
            }
            self.sent += 1;
            let flight = Flight {
                from: outer,
                to,
                ecn: transmit.ecn,
                bytes: packet.into(),
            };
            self.flights.insert((at, self.sent), flight);
        }
    }

    fn arrive(&mut self, now: Instant) {
        while let Some(first) = self.flights.first_entry()
            && first.key().0 <= now
        {
            let flight = first.remove();
            let way = self.ways.get(&(flight.from.ip(), flight.to.ip()));
            if !way.is_some_and(|way| way.condition.admits(&flight.bytes)) {
                continue;
            }
            if let Some(inbox) = self.receiver(flight.from, flight.to) {
                inbox.push(Arrival {
                    from: flight.from,
                    ecn: flight.ecn,
                    bytes: flight.bytes,
                });
            }
        }
    }

    /// The socket behind `to` for packets from there, through its NAT.
    fn receiver(&self, from: SocketAddr, to: SocketAddr) -> Option<&Arc<Inbox>> {
        let inner = self
            .outer
            .iter()
            .find(|((_, remote), outer)| **outer == to && *remote == from)
            .map(|((inner, _), _)| *inner);
        match inner {
            Some(inner) => self.sockets.get(&inner),
            None if self.outer.contains_key(&(to, from)) => None,
            None => self.sockets.get(&to),
        }
    }
}

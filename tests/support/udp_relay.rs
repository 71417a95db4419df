//! A UDP relay between a client and a server: a NAT whose outward port can change, and a bad path.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::pattern;

/// How often a thread with nothing to do looks whether the relay is gone or its port has changed.
const LOOK: Duration = Duration::from_millis(20);

/// How long a packet is held for the one that shall overtake it.
const HELD: Duration = Duration::from_millis(5);

/// What a late wake-up may make up for: the rate holds on average, in bursts no larger than this.
const CATCH_UP: Duration = Duration::from_millis(10);

/// Larger than a burst of the agents, so that only the queue below drops.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

const LARGEST: usize = 65_536;

/// What happens to packets, in each direction alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// Every packet arrives twice.
    pub(crate) duplicate: bool,
    /// Packets out of a thousand that are lost.
    pub(crate) lost_permille: u64,
    /// Packets out of a thousand that the next one overtakes.
    pub(crate) overtaken_permille: u64,
    /// Of what is random.
    pub(crate) seed: u64,
    /// Bits per second of UDP payload; `None`: as fast as it goes.
    pub(crate) rate: Option<u64>,
    /// Packets that wait at most; further ones are lost.
    pub(crate) queue: usize,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            duplicate: false,
            lost_permille: 0,
            overtaken_permille: 0,
            seed: 0,
            rate: None,
            queue: 4_096,
        }
    }
}

/// What the relay does to packets from now on, besides its conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    Nothing,
    /// The data plane is dropped: what does not have QUIC's fixed bit. Links look alive.
    Grey,
    /// Nothing reaches the server any more.
    DeafServer,
    /// Nothing reaches the client any more.
    DeafClient,
}

/// A running relay for one client: whoever sent last. It ends when dropped.
pub(crate) struct UdpRelay {
    shared: Arc<Shared>,
    server: SocketAddr,
}

struct Shared {
    front: UdpSocket,
    /// What the server sees; replaced when the port changes.
    back: Mutex<Arc<UdpSocket>>,
    client: Mutex<Option<SocketAddr>>,
    ended: AtomicBool,
    /// A [`Fault`].
    fault: AtomicU8,
    /// Packets sent on in both directions.
    carried: AtomicU64,
}

#[derive(Clone, Copy)]
enum Direction {
    ToServer,
    ToClient,
}

impl UdpRelay {
    /// Relays between `server` and whoever sends to [`address`](Self::address).
    pub(crate) fn start(server: SocketAddr, conditions: Conditions) -> Self {
        let shared = Arc::new(Shared {
            front: socket(),
            back: Mutex::new(outward(server)),
            client: Mutex::new(None),
            ended: AtomicBool::new(false),
            fault: AtomicU8::new(Fault::Nothing as u8),
            carried: AtomicU64::new(0),
        });
        for direction in [Direction::ToServer, Direction::ToClient] {
            let (queue, waiting) = sync_channel(conditions.queue);
            let (from, to) = (Arc::clone(&shared), Arc::clone(&shared));
            thread::spawn(move || receive(&from, direction, conditions, &queue));
            thread::spawn(move || send(&to, direction, conditions.rate, &waiting));
        }
        Self { shared, server }
    }

    /// Where the client finds the server.
    pub(crate) fn address(&self) -> SocketAddr {
        let address = self.shared.front.local_addr();
        address.expect("a bound socket has an address")
    }

    /// Takes another outward port, as a NAT does that lost its mapping: what the server sends to
    /// the old one is lost.
    pub(crate) fn change_port(&self) {
        *self.shared.back.lock().expect("no thread panics") = outward(self.server);
    }

    /// Breaks the path, or mends it.
    pub(crate) fn fault(&self, fault: Fault) {
        self.shared.fault.store(fault as u8, Ordering::Relaxed);
    }

    /// Packets sent on so far, both directions together.
    pub(crate) fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }
}

impl Drop for UdpRelay {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn back(&self) -> Arc<UdpSocket> {
        Arc::clone(&self.back.lock().expect("no thread panics"))
    }

    fn receive(&self, direction: Direction, packet: &mut [u8]) -> io::Result<usize> {
        match direction {
            Direction::ToServer => {
                let (count, client) = self.front.recv_from(packet)?;
                *self.client.lock().expect("no thread panics") = Some(client);
                Ok(count)
            }
            Direction::ToClient => self.back().recv(packet),
        }
    }

    fn swallows(&self, direction: Direction, packet: &[u8]) -> bool {
        let fault = self.fault.load(Ordering::Relaxed);
        let is = |wanted: Fault| fault == wanted as u8;
        match direction {
            _ if is(Fault::Grey) => packet[0] & 0x40 == 0,
            Direction::ToServer => is(Fault::DeafServer),
            Direction::ToClient => is(Fault::DeafClient),
        }
    }

    fn send(&self, direction: Direction, packet: &[u8]) {
        if packet.is_empty() || self.swallows(direction, packet) {
            return;
        }
        let client = *self.client.lock().expect("no thread panics");
        let sent = match (direction, client) {
            (Direction::ToServer, _) => self.back().send(packet),
            (Direction::ToClient, Some(client)) => self.front.send_to(packet, client),
            (Direction::ToClient, None) => return,
        };
        // An agent that is restarting refuses packets.
        if sent.is_ok() {
            self.carried.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// Loses, duplicates and reorders, and queues the rest.
fn receive(
    shared: &Shared,
    direction: Direction,
    conditions: Conditions,
    queue: &SyncSender<Vec<u8>>,
) {
    let salt = match direction {
        Direction::ToServer => 0,
        Direction::ToClient => 1 << 40,
    };
    let mut at = (conditions.seed << 41) + salt;
    let mut permille = || {
        let mut number = [0; 8];
        pattern::fill(&mut number, at);
        at += 8;
        u64::from_le_bytes(number) % 1_000
    };
    let mut packet = vec![0; LARGEST];
    let mut held: Option<(Vec<u8>, Instant)> = None;
    while !shared.ended() {
        let received = shared.receive(direction, &mut packet);
        if held
            .as_ref()
            .is_some_and(|(_, since)| since.elapsed() >= HELD)
            && let Some((late, _)) = held.take()
        {
            // A full queue loses packets; that is what it is for.
            let _ = queue.try_send(late);
        }
        let Ok(count) = received else {
            // Nothing there, or an ICMP error about an agent that is restarting.
            continue;
        };
        if permille() < conditions.lost_permille {
            continue;
        }
        let packet = packet[..count].to_vec();
        if held.is_none() && permille() < conditions.overtaken_permille {
            held = Some((packet, Instant::now()));
            continue;
        }
        if conditions.duplicate {
            let _ = queue.try_send(packet.clone());
        }
        let _ = queue.try_send(packet);
        if let Some((late, _)) = held.take() {
            let _ = queue.try_send(late);
        }
    }
}

/// Sends what is queued, no faster than `rate`.
fn send(shared: &Shared, direction: Direction, rate: Option<u64>, waiting: &Receiver<Vec<u8>>) {
    let mut free = Instant::now();
    while !shared.ended() {
        let packet = match waiting.recv_timeout(LOOK) {
            Ok(packet) => packet,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Some(rate) = rate {
            let now = Instant::now();
            thread::sleep(free.saturating_duration_since(now));
            let takes = packet.len() as f64 * 8.0 / rate as f64;
            free = free.max(now - CATCH_UP) + Duration::from_secs_f64(takes);
        }
        shared.send(direction, &packet);
    }
}

fn outward(server: SocketAddr) -> Arc<UdpSocket> {
    let socket = socket();
    socket.connect(server).expect("loopback is always there");
    Arc::new(socket)
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("127.0.0.1 has a free port");
    // What the kernel grants will do.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER);
    // Short enough to let go of a held packet in time.
    let timeout = socket.set_read_timeout(Some(HELD));
    timeout.expect("5 ms is a valid time-out");
    socket
}

//! The thread of a relay: waits for packets and for the next one's time, and moves them between
//! sockets and [`Core`].
//!
//! One thread does everything, under one lock: what a handle changes holds for the very next
//! packet. It waits in poll(2) with nanoseconds, which a busy machine wakes in time more often
//! than a sleeping runtime; the measurement is in [`super`].

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::process::setpriority_process;
use rustix::thread::gettid;

use super::Counters;
use super::core::Core;
use super::nat::{self, Nat};
use crate::packet::{Direction, Packet};

/// Packets taken from one socket before others have their turn: a burst of an agent is about 44.
const BATCH: usize = 64;

/// Above whatever is loaded, below what the system itself runs at: -20.
const NICE: i32 = -10;

/// The largest UDP payload, and more.
const LARGEST: usize = 65_536;

/// What the thread and the handles share.
#[derive(Debug)]
pub(super) struct Shared {
    front: UdpSocket,
    /// Readable when a handle changed something that the thread must look at.
    wake: OwnedFd,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) core: Core,
    pub(super) nat: Nat,
    ended: bool,
    unsent: u64,
    pub(super) rebinds: u64,
}

impl Shared {
    pub(super) fn new(listen: SocketAddr, server: SocketAddr, core: Core) -> io::Result<Self> {
        Ok(Self {
            front: nat::socket(listen)?,
            wake: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            state: Mutex::new(State {
                core,
                nat: Nat::new(server),
                ended: false,
                unsent: 0,
                rebinds: 0,
            }),
        })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.front.local_addr()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Counters and queues are whole between two calls of the core.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a handle change something, and the thread act on it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        // Full means that the thread has been told already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        changed
    }

    pub(super) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    /// The thread: until the relay ends.
    pub(super) fn run(&self) {
        hurry();
        let mut buffer = vec![0; LARGEST];
        let mut sockets = Vec::new();
        let mut seen = None;
        loop {
            let next = {
                let mut state = self.lock();
                if state.ended {
                    return;
                }
                if seen != Some(state.nat.generation()) {
                    sockets = state.nat.sockets();
                    seen = Some(state.nat.generation());
                }
                self.send_due(&mut state);
                state.core.poll_timeout()
            };
            let Ready { front, outward } = self.wait(&sockets, next);
            if front {
                self.receive(&mut buffer);
            }
            for index in outward {
                let (flow, socket) = &sockets[index];
                self.receive_outward(*flow, socket, &mut buffer);
            }
        }
    }

    /// Waits for packets, for `next`, or for a handle.
    fn wait<'a>(&'a self, sockets: &'a [(u64, Arc<UdpSocket>)], next: Option<Instant>) -> Ready {
        let mut fds = vec![
            PollFd::new(&self.wake, PollFlags::IN),
            PollFd::new(&self.front, PollFlags::IN),
        ];
        let readable =
            |(_, socket): &'a (u64, Arc<UdpSocket>)| PollFd::new(&**socket, PollFlags::IN);
        fds.extend(sockets.iter().map(readable));
        let left = next.map(|next| next.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        // A signal ends the wait early, which does no harm.
        let _ = poll(&mut fds, left.as_ref());
        let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        if ready(&fds[0]) {
            let mut told = [0; 8];
            let _ = rustix::io::read(&self.wake, &mut told);
        }
        let outward = fds[2..].iter().enumerate();
        Ready {
            front: ready(&fds[1]),
            outward: outward
                .filter(|(_, fd)| ready(fd))
                .map(|(index, _)| index)
                .collect(),
        }
    }

    /// From clients.
    fn receive(&self, buffer: &mut [u8]) {
        let mut state = self.lock();
        for _ in 0..BATCH {
            match self.front.recv_from(buffer) {
                Ok((count, client)) => {
                    let now = Instant::now();
                    // Without a socket for a new client the packet is lost, as at a full NAT.
                    let Ok(flow) = state.nat.flow_of(now, client) else {
                        continue;
                    };
                    let payload = buffer[..count].to_vec();
                    let packet = Packet { flow, payload };
                    state.core.handle_packet(now, Direction::ToServer, packet);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // An ICMP message about a client that is gone.
                Err(_) => {}
            }
        }
    }

    /// From the server.
    fn receive_outward(&self, flow: u64, socket: &UdpSocket, buffer: &mut [u8]) {
        let mut state = self.lock();
        for _ in 0..BATCH {
            match socket.recv(buffer) {
                Ok(count) => {
                    let payload = buffer[..count].to_vec();
                    let packet = Packet { flow, payload };
                    let now = Instant::now();
                    state.core.handle_packet(now, Direction::ToClient, packet);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // An ICMP message about a server that is restarting.
                Err(_) => {}
            }
        }
    }

    fn send_due(&self, state: &mut State) {
        let now = Instant::now();
        while let Some((direction, Packet { flow, payload })) = state.core.poll_packet(now) {
            let sent = match direction {
                Direction::ToServer => state
                    .nat
                    .outward(flow)
                    .is_some_and(|socket| send(|| socket.send(&payload))),
                Direction::ToClient => state
                    .nat
                    .client(flow)
                    .is_some_and(|client| send(|| self.front.send_to(&payload, client))),
            };
            state.unsent += u64::from(!sent);
        }
    }
}

impl State {
    pub(super) fn counters(&self) -> Counters {
        Counters {
            unsent: self.unsent,
            flows: self.nat.len(),
            rebinds: self.rebinds,
            ..self.core.counters()
        }
    }
}

/// Which sockets have packets.
struct Ready {
    front: bool,
    /// Indices.
    outward: Vec<usize>,
}

/// Puts the calling thread before what loads the machine: a link is not slower because its ends are
/// busy. Only root may; others have what they have.
pub(super) fn hurry() {
    let _ = setpriority_process(Some(gettid()), NICE);
}

/// Sends once more if the first attempt only fetched the error of an earlier one.
fn send(attempt: impl Fn() -> io::Result<usize>) -> bool {
    match attempt() {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => attempt().is_ok(),
        Err(_) => false,
    }
}

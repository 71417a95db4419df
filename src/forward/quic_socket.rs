//! The link endpoint's share of a [`Port`]: what it sends goes straight out, in the room that data
//! leaves; what it receives the receive loop puts here.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{RecvMeta, Transmit};
use tokio::time::timeout;

use super::door::Door;
use super::port::Port;
use super::quic_queue::{QuicQueue, Sender};

/// How often a port that took no link packet is tried again, though nobody told of room.
const LOOK: Duration = Duration::from_millis(20);

/// Packets that the endpoint will not see.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// There was no room.
    pub(super) no_room: usize,
    /// They would begin a handshake, over the limit.
    pub(super) at_the_door: usize,
}

/// The socket of a link endpoint.
pub struct QuicSocket {
    port: Arc<Port>,
    /// The port took no link packet: there was no room at all.
    full: AtomicBool,
    state: Mutex<State>,
}

struct State {
    door: Door,
    queue: QuicQueue,
    reader: Option<Waker>,
}

impl QuicSocket {
    /// The link endpoint's view of `port`, where `door` keeps strangers.
    pub fn new(port: Arc<Port>, door: Door) -> Arc<Self> {
        let state = State {
            door,
            queue: QuicQueue::default(),
            reader: None,
        };
        Arc::new(Self {
            port,
            full: AtomicBool::new(false),
            state: Mutex::new(state),
        })
    }

    /// Hands over QUIC packets received at `now`: `bytes` holds packets of `meta.stride` bytes each.
    pub(super) fn push(&self, sender: Sender, meta: &RecvMeta, bytes: &[u8], now: Instant) -> Lost {
        let mut lost = Lost::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        for packet in bytes.chunks(meta.stride) {
            if sender == Sender::Stranger && !state.door.admits(packet, meta.addr, now) {
                lost.at_the_door += 1;
                continue;
            }
            let meta = RecvMeta {
                len: packet.len(),
                stride: packet.len(),
                ..*meta
            };
            if !state.queue.push(sender, meta, packet) {
                lost.no_room += 1;
            }
        }
        let reader = state.reader.take();
        drop(guard);
        if let Some(reader) = reader {
            reader.wake();
        }
        lost
    }

    /// Lets the answers of `address` in, which is dialled until what this returns is dropped.
    pub fn expect(self: &Arc<Self>, address: SocketAddr) -> Dialled {
        self.lock().door.expect(address);
        Dialled {
            socket: self.clone(),
            address,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }
}

/// An address that is being dialled.
#[derive(Debug)]
pub struct Dialled {
    socket: Arc<QuicSocket>,
    address: SocketAddr,
}

impl Drop for Dialled {
    fn drop(&mut self) {
        self.socket.lock().door.forget(self.address);
    }
}

impl AsyncUdpSocket for QuicSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable {
            socket: self,
            wait: None,
        })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.port.transmit(transmit) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.full.store(true, Ordering::Relaxed);
                Err(error)
            }
            Err(error) => {
                // Any other error would end the connection; to QUIC it is a lost packet (an
                // oversized probe, an unreachable network that may come back).
                tracing::trace!(%error, destination = %transmit.destination, "link packet not sent");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        let mut filled = 0;
        while filled < bufs.len() {
            let Some((packet_meta, packet)) = state.queue.pop() else {
                break;
            };
            // Longer than the endpoint takes: not a packet of ours.
            let Some(target) = bufs[filled].get_mut(..packet.len()) else {
                continue;
            };
            target.copy_from_slice(&packet);
            meta[filled] = packet_meta;
            filled += 1;
        }
        if filled == 0 {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(filled))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.port.local_addr())
    }

    fn max_transmit_segments(&self) -> usize {
        self.port.max_gso_segments()
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl fmt::Debug for QuicSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuicSocket").field(&self.port).finish()
    }
}

type Wait = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

/// Waits for the port for one quinn task; not while it only keeps data waiting.
struct Writable {
    socket: Arc<QuicSocket>,
    wait: Option<Wait>,
}

impl UdpPoller for Writable {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.socket.full.load(Ordering::Relaxed) {
            this.wait = None;
            return Poll::Ready(Ok(()));
        }
        let wait = this.wait.get_or_insert_with(|| {
            let port = this.socket.port.clone();
            Box::pin(async move {
                // Told of room is who may send data, and more may hold the rest of it for good: link
                // packets take any room there is.
                let told = timeout(LOOK, port.writable()).await;
                told.unwrap_or(Ok(()))
            })
        });
        let result = std::task::ready!(wait.as_mut().poll(cx));
        this.socket.full.store(false, Ordering::Relaxed);
        this.wait = None;
        Poll::Ready(result)
    }
}

impl fmt::Debug for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Writable").field(&self.socket).finish()
    }
}

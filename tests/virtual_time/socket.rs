//! A socket of the network in memory, as quinn wants one. Its kernel segments and coalesces: equal
//! packets of one sender are read as one buffer.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{EcnCodepoint, RecvMeta, Transmit};

use crate::network::Network;
use crate::writable::Writable;

/// Packets that one send or one read may hold, as on Linux.
const SEGMENTS: usize = 64;

/// A packet that arrived.
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    pub(crate) ecn: Option<EcnCodepoint>,
    pub(crate) bytes: Box<[u8]>,
}

/// What has arrived and was not read.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    arrivals: VecDeque<Arrival>,
    reader: Option<Waker>,
}

/// One bound socket.
pub(crate) struct MemorySocket {
    network: Network,
    local: SocketAddr,
    inbox: Arc<Inbox>,
}

impl Inbox {
    /// Takes a packet and wakes the reader.
    pub(crate) fn push(&self, arrival: Arrival) {
        let mut waiting = self.0.lock().unwrap();
        waiting.arrivals.push_back(arrival);
        if let Some(reader) = waiting.reader.take() {
            reader.wake();
        }
    }
}

impl Waiting {
    /// Fills `buffer` with as many equal packets of one sender as there are next; the last may be
    /// shorter.
    fn fill(&mut self, buffer: &mut [u8]) -> Option<RecvMeta> {
        let first = self.arrivals.pop_front()?;
        let stride = first.bytes.len();
        buffer[..stride].copy_from_slice(&first.bytes);
        let (mut length, mut last) = (stride, stride);
        for _ in 1..SEGMENTS {
            let joins = |next: &&Arrival| {
                next.from == first.from
                    && next.ecn == first.ecn
                    && last == stride
                    && next.bytes.len() <= stride
                    && length + next.bytes.len() <= buffer.len()
            };
            if self.arrivals.front().filter(joins).is_none() {
                break;
            }
            let Some(more) = self.arrivals.pop_front() else {
                break;
            };
            last = more.bytes.len();
            buffer[length..length + last].copy_from_slice(&more.bytes);
            length += last;
        }
        let mut meta = RecvMeta::default();
        (meta.addr, meta.len, meta.stride, meta.ecn) = (first.from, length, stride, first.ecn);
        Some(meta)
    }
}

impl MemorySocket {
    pub(crate) fn new(network: Network, local: SocketAddr, inbox: Arc<Inbox>) -> Self {
        Self {
            network,
            local,
            inbox,
        }
    }
}

impl AsyncUdpSocket for MemorySocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.network.send(self.local, &self.inbox, transmit);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut waiting = self.inbox.0.lock().unwrap();
        let mut filled = 0;
        for (buffer, meta) in bufs.iter_mut().zip(meta) {
            let Some(read) = waiting.fill(buffer) else {
                break;
            };
            *meta = read;
            filled += 1;
        }
        if filled == 0 {
            waiting.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(filled))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn max_transmit_segments(&self) -> usize {
        SEGMENTS
    }

    fn max_receive_segments(&self) -> usize {
        SEGMENTS
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl fmt::Debug for MemorySocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemorySocket").field(&self.local).finish()
    }
}

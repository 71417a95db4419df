//! One UDP port for a member's link and its sessions, as agents have: packets of sessions come back to
//! where the link is.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{RecvMeta, Transmit};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::support::socket::Writable;

/// The bit that QUIC's packets have and those of sessions, behind their header, have not.
const FIXED_BIT: u8 = 0x40;

/// Half of a packet to the opening side.
const HALF: u8 = 0x08;

/// Packets of sessions that nobody has taken yet; further ones are lost.
const QUEUE: usize = 4_096;

/// What the other end of a session is called: all that QUIC wants is that it never changes.
pub(crate) const FAR: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
    1,
);

/// The port, as the link's endpoint sees it.
pub(crate) struct Port {
    socket: Arc<UdpSocket>,
    data: mpsc::Sender<Vec<u8>>,
    /// What came of sessions, for whoever has them.
    came: Mutex<Option<mpsc::Receiver<Vec<u8>>>>,
}

impl Port {
    /// A free one on loopback.
    pub(crate) fn bind() -> io::Result<Arc<Self>> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let socket = Arc::new(UdpSocket::from_std(socket)?);
        let (data, came) = mpsc::channel(QUEUE);
        Ok(Arc::new(Self {
            socket,
            data,
            came: Mutex::new(Some(came)),
        }))
    }

    /// The socket of sessions: what is sent gets `header` and goes to `to`. There is one.
    pub(crate) fn session(&self, header: Vec<u8>, to: SocketAddr) -> Arc<Session> {
        let came = self.came.lock().expect("no panic while locked").take();
        Arc::new(Session {
            socket: self.socket.clone(),
            header,
            to,
            came: Mutex::new(came.expect("the first to ask")),
            halves: Mutex::default(),
            deaf: AtomicBool::new(false),
        })
    }
}

/// The port, as a session's endpoint sees it.
pub(crate) struct Session {
    socket: Arc<UdpSocket>,
    header: Vec<u8>,
    to: SocketAddr,
    came: Mutex<mpsc::Receiver<Vec<u8>>>,
    halves: Mutex<Halves>,
    /// Loses packets with data in them.
    deaf: AtomicBool,
}

/// Halves of packets that wait for the other one, by their number.
type Halves = BTreeMap<[u8; 4], (u8, Vec<u8>)>;

/// Most of them; then all are forgotten.
const HALVES: usize = 256;

/// Longer packets have data in them: acknowledgements and keep-alives are shorter.
const SHORT: usize = 200;

impl Session {
    /// Takes no data any more, and acknowledges none.
    pub(crate) fn stop_hearing(&self) {
        self.deaf.store(true, Ordering::Relaxed);
    }

    /// One packet behind the session's header.
    pub(crate) fn send(&self, payload: &[u8]) {
        // A full buffer loses packets, as networks do.
        let _ = self
            .socket
            .try_send_to(&[&self.header, payload].concat(), self.to);
    }
}

fn packets<'a>(transmit: &Transmit<'a>) -> impl Iterator<Item = &'a [u8]> {
    let whole = transmit.contents.len().max(1);
    transmit
        .contents
        .chunks(transmit.segment_size.unwrap_or(whole))
}

/// What QUIC is to see of a packet (docs/wire-format.md): what is behind its header, or the whole that it
/// is the second half of.
fn payload(packet: &[u8], halves: &mut Halves) -> Option<Vec<u8>> {
    // Type, index, count, token, source, hops.
    let header = 19 + 8 * usize::from(*packet.get(2)?);
    let payload = packet.get(header..).filter(|rest| !rest.is_empty())?;
    if packet[0] != HALF {
        return Some(payload.to_vec());
    }
    let (number, rest) = payload.split_first_chunk::<4>()?;
    let (which, half) = rest.split_first()?;
    let Some((other, waiting)) = halves.remove(number) else {
        if halves.len() == HALVES {
            halves.clear();
        }
        halves.insert(*number, (*which, half.to_vec()));
        return None;
    };
    match (other, *which) {
        (0, 1) => Some([&waiting, half].concat()),
        (1, 0) => Some([half, &waiting].concat()),
        _ => None,
    }
}

fn received(addr: SocketAddr, len: usize) -> RecvMeta {
    RecvMeta {
        addr,
        len,
        stride: len,
        ecn: None,
        dst_ip: None,
    }
}

impl AsyncUdpSocket for Port {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        for packet in packets(transmit) {
            let _ = self.socket.try_send_to(packet, transmit.destination);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut buffer = ReadBuf::new(&mut bufs[0]);
            let from = ready!(self.socket.poll_recv_from(cx, &mut buffer))?;
            let packet = buffer.filled();
            if packet.first().is_some_and(|first| first & FIXED_BIT == 0) {
                let _ = self.data.try_send(packet.to_vec());
                continue;
            }
            meta[0] = received(from, packet.len());
            return Poll::Ready(Ok(1));
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl AsyncUdpSocket for Session {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        packets(transmit).for_each(|packet| self.send(packet));
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut came = self.came.lock().expect("no panic while locked");
        loop {
            let Some(packet) = ready!(came.poll_recv(cx)) else {
                return Poll::Pending;
            };
            let mut halves = self.halves.lock().expect("no panic while locked");
            let payload = payload(&packet, &mut halves);
            let most = match self.deaf.load(Ordering::Relaxed) {
                true => SHORT,
                false => bufs[0].len(),
            };
            let Some(payload) = payload.filter(|payload| payload.len() <= most) else {
                continue;
            };
            bufs[0][..payload.len()].copy_from_slice(&payload);
            meta[0] = received(FAR, payload.len());
            return Poll::Ready(Ok(1));
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv6Addr::LOCALHOST, 2)))
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's port")
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session of a member")
    }
}

//! One UDP port: shared by the link endpoint's QUIC packets and by end-to-end packets.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::buffer::Buffer;

/// Kernel buffer asked for in each direction; the kernel grants at most `net.core.rmem_max`. It
/// takes what arrives while the one runtime thread is busy: with 2 MiB, 8 parallel downloads lost
/// some hundred packets a second here, with 4 MiB (and 512 KiB stream windows) none.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// A bound UDP socket with segmentation offloads.
pub struct Port {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

/// Equal-sized packets to one address, sent with one system call.
pub struct Run<'a> {
    pub destination: SocketAddr,
    /// The local address to send from; `None` lets the kernel choose.
    pub source: Option<IpAddr>,
    pub ecn: Option<EcnCodepoint>,
    pub bytes: &'a [u8],
    /// Length of every packet but the last, which may be shorter.
    pub stride: usize,
}

impl Port {
    /// Binds `address`. An unspecified IPv6 address takes IPv4 too. Needs a tokio runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Arc<Self>> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        let io = UdpSocket::from_std(socket.into())?;
        let state = UdpSocketState::new((&io).into())?;
        // A kernel that grants less still works.
        let _ = state.set_recv_buffer_size((&io).into(), SOCKET_BUFFER);
        let _ = state.set_send_buffer_size((&io).into(), SOCKET_BUFFER);
        Ok(Arc::new(Self {
            local: io.local_addr()?,
            io,
            state,
        }))
    }

    /// The bound address, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Whether packets sent from here can reach `remote` by address family and scope.
    pub fn reaches(&self, remote: SocketAddr) -> bool {
        let local = self.local.ip();
        match (local, remote.ip()) {
            (IpAddr::V6(own), IpAddr::V4(_)) => own.is_unspecified(),
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                local.is_unspecified() || local.is_loopback() == remote.ip().is_loopback()
            }
        }
    }

    /// Sends a run; one system call where the kernel segments (GSO), one per packet elsewhere.
    ///
    /// On `WouldBlock` part of the run may have left; packets may be repeated freely.
    pub fn send(&self, run: &Run<'_>) -> io::Result<()> {
        let packets = run.bytes.len().div_ceil(run.stride);
        if packets <= self.state.max_gso_segments() {
            return self.send_once(run, run.bytes, (packets > 1).then_some(run.stride));
        }
        run.bytes
            .chunks(run.stride * self.state.max_gso_segments())
            .try_for_each(|part| {
                let segment = (part.len() > run.stride).then_some(run.stride);
                self.send_once(run, part, segment)
            })
    }

    fn send_once(&self, run: &Run<'_>, contents: &[u8], segment: Option<usize>) -> io::Result<()> {
        self.transmit(&Transmit {
            destination: run.destination,
            ecn: run.ecn,
            contents,
            segment_size: segment,
            src_ip: run.source,
        })
    }

    /// Sends what quinn hands over.
    pub fn transmit(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || {
            self.state.try_send((&self.io).into(), transmit)
        })
    }

    /// Waits until a send may succeed.
    pub async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// Receives up to [`BATCH_SIZE`] datagrams or GRO batches; waits for the first.
    pub(super) async fn receive(
        &self,
        buffers: &mut [Buffer],
        meta: &mut [RecvMeta],
    ) -> io::Result<usize> {
        self.io
            .async_io(Interest::READABLE, || {
                let mut slices = SliceBatch::over(buffers);
                self.state
                    .recv((&self.io).into(), slices.as_mut(), &mut meta[..])
            })
            .await
    }

    /// Datagrams one send may carry.
    pub fn max_gso_segments(&self) -> usize {
        self.state.max_gso_segments()
    }
}

/// At most [`BATCH_SIZE`] slices on the stack.
struct SliceBatch<'a> {
    slices: [IoSliceMut<'a>; BATCH_SIZE],
    used: usize,
}

impl<'a> SliceBatch<'a> {
    fn over(buffers: &'a mut [Buffer]) -> Self {
        let used = buffers.len().min(BATCH_SIZE);
        let mut buffers = buffers.iter_mut();
        let slices = std::array::from_fn(|_| {
            IoSliceMut::new(buffers.next().map_or(&mut [], |buffer| &mut **buffer))
        });
        Self { slices, used }
    }

    fn as_mut(&mut self) -> &mut [IoSliceMut<'a>] {
        &mut self.slices[..self.used]
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Port").field(&self.local).finish()
    }
}

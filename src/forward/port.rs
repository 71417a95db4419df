//! One UDP port: shared by the link endpoint's QUIC packets and by end-to-end packets.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use quinn::AsyncUdpSocket;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit};

use super::buffer::Buffer;
use super::kernel::KernelSocket;

/// A bound port.
pub struct Port {
    socket: Socket,
    segments: usize,
    local: SocketAddr,
}

/// What carries the datagrams. Told apart by a branch and not by a pointer, because every packet
/// passes here.
enum Socket {
    Kernel(KernelSocket),
    Other(Arc<dyn AsyncUdpSocket>),
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
        let socket = KernelSocket::bind(address)?;
        Ok(Arc::new(Self {
            local: socket.local_addr()?,
            segments: socket.segments(),
            socket: Socket::Kernel(socket),
        }))
    }

    /// A port over another network than the kernel's. [`Port`] splits what is longer than the
    /// socket's `max_transmit_segments`; an error but `WouldBlock` is one lost run.
    pub fn over(socket: Arc<dyn AsyncUdpSocket>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            local: socket.local_addr()?,
            segments: socket.max_transmit_segments().max(1),
            socket: Socket::Other(socket),
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

    /// Sends a run of data; one system call where the kernel segments (GSO), one per packet
    /// elsewhere. `WouldBlock` while so much waits already that link packets would wait long.
    ///
    /// On `WouldBlock` part of the run may have left; packets may be repeated freely.
    pub fn send(&self, run: &Run<'_>) -> io::Result<()> {
        self.in_parts(run, |part| match &self.socket {
            Socket::Kernel(socket) => socket.transmit_data(part),
            Socket::Other(socket) => socket.try_send(part),
        })
    }

    /// Sends a run that data must not keep waiting, as [`transmit`](Self::transmit) does.
    pub fn send_ahead(&self, run: &Run<'_>) -> io::Result<()> {
        self.in_parts(run, |part| self.transmit(part))
    }

    /// What one send takes, one after the other.
    fn in_parts(
        &self,
        run: &Run<'_>,
        mut send: impl FnMut(&Transmit<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        run.bytes
            .chunks(run.stride * self.segments)
            .try_for_each(|contents| {
                send(&Transmit {
                    destination: run.destination,
                    ecn: run.ecn,
                    contents,
                    segment_size: (contents.len() > run.stride).then_some(run.stride),
                    src_ip: run.source,
                })
            })
    }

    /// Sends what quinn hands over of a link, in the room that data leaves.
    pub fn transmit(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match &self.socket {
            Socket::Kernel(socket) => socket.transmit(transmit),
            Socket::Other(socket) => socket.try_send(transmit),
        }
    }

    /// Waits until data may be sent.
    pub async fn writable(&self) -> io::Result<()> {
        match &self.socket {
            Socket::Kernel(socket) => socket.writable().await,
            Socket::Other(socket) => {
                let mut poller = socket.clone().create_io_poller();
                poll_fn(|cx| poller.as_mut().poll_writable(cx)).await
            }
        }
    }

    /// Receives up to [`BATCH_SIZE`] datagrams or GRO batches; waits for the first.
    pub(super) async fn receive(
        &self,
        buffers: &mut [Buffer],
        meta: &mut [RecvMeta],
    ) -> io::Result<usize> {
        let mut slices = SliceBatch::over(buffers);
        match &self.socket {
            Socket::Kernel(socket) => socket.receive(slices.as_mut(), meta).await,
            Socket::Other(socket) => {
                poll_fn(|cx| socket.poll_recv(cx, slices.as_mut(), meta)).await
            }
        }
    }

    /// Datagrams one send may carry.
    pub fn max_gso_segments(&self) -> usize {
        self.segments
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

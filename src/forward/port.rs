//! One UDP port: shared by the link endpoint's QUIC packets and by end-to-end packets.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, RwLock};

use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::debug;

use super::buffer::Buffer;
use super::offload::{Refusals, Refused};
use crate::clock;

/// Kernel buffer asked for to receive; the kernel grants at most `net.core.rmem_max`. It takes what
/// arrives while the one runtime thread is busy: with 2 MiB, 8 parallel downloads lost some hundred
/// packets a second here, with 4 MiB (and 512 KiB stream windows) none.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Kernel buffer asked for to send. What waits in it goes out before the next heartbeat: 256 KiB
/// take 0.2 s at 10 Mbit/s, where 4 MiB would take 3.4 s and a link that is only slow would look
/// dead. It holds four full runs; sizes past 208 KiB made no difference to throughput.
const SEND_BUFFER: usize = 256 * 1024;

/// A bound UDP socket with segmentation offloads.
pub struct Port {
    io: UdpSocket,
    /// Replaced when quinn-udp gives segmentation up.
    state: RwLock<UdpSocketState>,
    /// Segments of one send while segmentation works.
    segments: usize,
    refusals: Refusals,
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
        let _ = state.set_recv_buffer_size((&io).into(), RECEIVE_BUFFER);
        let _ = state.set_send_buffer_size((&io).into(), SEND_BUFFER);
        Ok(Arc::new(Self {
            local: io.local_addr()?,
            io,
            segments: state.max_gso_segments(),
            state: RwLock::new(state),
            refusals: Refusals::default(),
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
        if packets <= self.segments {
            return self.send_once(run, run.bytes, (packets > 1).then_some(run.stride));
        }
        run.bytes
            .chunks(run.stride * self.segments)
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

    /// Sends what quinn hands over, without what the kernel refused of late: the source address,
    /// segmentation.
    pub fn transmit(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.io.try_io(Interest::WRITABLE, || {
            if !self.refusals.any() {
                return self.attempt(transmit);
            }
            let now = clock::now();
            let src_ip = transmit
                .src_ip
                .filter(|source| !self.refusals.holds(Refused::Source(*source), now));
            let there = Refused::Segments(transmit.destination);
            let whole = Transmit {
                src_ip,
                ..*transmit
            };
            match transmit.segment_size {
                Some(size) if self.refusals.holds(there, now) => self.singly(&whole, size),
                Some(_) | None => self.attempt(&whole),
            }
        })
    }

    /// Sends; what the kernel refuses is sent again without the source address, then without
    /// segmentation, and what helped is remembered.
    fn attempt(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let error = match self.try_send(transmit) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => error,
            result => return result,
        };
        let mut gave_up = self.start_over();
        let anywhere = Transmit {
            src_ip: None,
            ..*transmit
        };
        if let Some(source) = transmit.src_ip
            && (gave_up || may_be_source(&error))
        {
            match self.try_send(&anywhere) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    gave_up |= self.start_over();
                }
                result => {
                    debug!(%source, %error, "source address refused");
                    let refused = Refused::Source(source);
                    self.refusals.note(refused, clock::now());
                    return result;
                }
            }
        }
        match transmit.segment_size {
            Some(size) if gave_up => {
                let destination = transmit.destination;
                debug!(%destination, %error, "segmentation refused");
                let refused = Refused::Segments(destination);
                self.refusals.note(refused, clock::now());
                self.singly(&anywhere, size)
            }
            Some(_) | None => Err(error),
        }
    }

    /// Sends each segment by itself.
    fn singly(&self, transmit: &Transmit<'_>, size: usize) -> io::Result<()> {
        let sent = transmit.contents.chunks(size).try_for_each(|contents| {
            self.try_send(&Transmit {
                contents,
                segment_size: None,
                ..*transmit
            })
        });
        if sent.is_err() {
            self.start_over();
        }
        sent
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.state().try_send((&self.io).into(), transmit)
    }

    /// If quinn-udp took the last error to mean that the host cannot segment, lets it start over;
    /// returns whether it did.
    fn start_over(&self) -> bool {
        let gave_up = self.state().max_gso_segments() < self.segments;
        if gave_up && let Ok(fresh) = UdpSocketState::new((&self.io).into()) {
            *self.state.write().expect("no panic while locked") = fresh;
        }
        gave_up
    }

    fn state(&self) -> std::sync::RwLockReadGuard<'_, UdpSocketState> {
        self.state.read().expect("no panic while locked")
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
                self.state()
                    .recv((&self.io).into(), slices.as_mut(), &mut meta[..])
            })
            .await
    }

    /// Datagrams one send may carry.
    pub fn max_gso_segments(&self) -> usize {
        self.segments
    }
}

/// What kernels say of a source address that is not theirs; it depends on version and family.
fn may_be_source(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
    )
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

#[cfg(test)]
mod tests;

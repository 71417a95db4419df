//! A UDP socket of the kernel, with segmentation offloads.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::debug;

use super::offload::{Refusals, Refused};
use crate::clock;

/// Kernel buffer asked for to receive; the kernel grants at most `net.core.rmem_max`. It takes what
/// arrives while the one runtime thread is busy: with 2 MiB, 8 parallel downloads lost some hundred
/// packets a second here, with 4 MiB (and 512 KiB stream windows) none.
pub const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Kernel buffer asked for to send. Linux books twice as much and says that it takes more while less
/// than this waits, overhead included. Data leaves only then; what is left of the buffer is for link
/// packets and probes, so that none of them is refused for data and none has more ahead of it than
/// this and one run: 100 kB at most were seen, 80 ms at 10 Mbit/s; 297 kB with 256 KiB for all. Large enough for two full runs, so
/// that a fast interface never idles.
pub const SEND_BUFFER: usize = 80 * 1024;

/// Data that may leave before the kernel is asked again how much waits: some ten acknowledgements or
/// requests, each of which would cost a system call more; little beside [`SEND_BUFFER`].
const UNASKED: usize = 16 * 1024;

/// What the kernel books for a short packet beside its bytes.
const BOOKED: usize = 1_024;

/// A bound UDP socket with segmentation offloads.
pub(super) struct KernelSocket {
    io: UdpSocket,
    /// Replaced when quinn-udp gives segmentation up.
    state: RwLock<UdpSocketState>,
    /// Segments of one send while segmentation works.
    segments: usize,
    refusals: Refusals,
    /// Data sent since the kernel said that it takes some; [`UNASKED`]: it has to be asked.
    unasked: AtomicUsize,
}

impl KernelSocket {
    /// Binds `address`. An unspecified IPv6 address takes IPv4 too. Needs a tokio runtime.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
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
        Ok(Self {
            io,
            segments: state.max_gso_segments(),
            state: RwLock::new(state),
            refusals: Refusals::default(),
            unasked: AtomicUsize::new(UNASKED),
        })
    }

    /// The bound address, with the real port.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Datagrams one send may carry.
    pub(super) fn segments(&self) -> usize {
        self.segments
    }

    /// Sends data, if little waits in the kernel.
    pub(super) fn transmit_data(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.ask_kernel(|| match self.takes_data(transmit.contents.len()) {
            true => self.transmit_known(transmit),
            false => Err(io::ErrorKind::WouldBlock.into()),
        })
    }

    /// Sends what data must not keep waiting, if there is any room at all.
    pub(super) fn transmit(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.ask_kernel(|| self.transmit_known(transmit))
    }

    /// tokio knows the socket as it was at the last turn of the runtime, and knows of data only. It is
    /// told when there is no room, so that whoever waits for some waits for the kernel.
    fn ask_kernel(&self, send: impl Fn() -> io::Result<()>) -> io::Result<()> {
        match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.io.try_io(Interest::WRITABLE, send)
            }
            result => result,
        }
    }

    /// Whether less than [`SEND_BUFFER`] waits, give or take [`UNASKED`]. An error shows in the send.
    fn takes_data(&self, bytes: usize) -> bool {
        let unasked = self.unasked.load(Ordering::Relaxed) + bytes + BOOKED;
        if unasked < UNASKED {
            self.unasked.store(unasked, Ordering::Relaxed);
            return true;
        }
        let takes = self.was_told_of_room() || self.asks_for_room();
        let unasked = if takes { 0 } else { UNASKED };
        self.unasked.store(unasked, Ordering::Relaxed);
        takes
    }

    /// Whether the kernel told tokio, since this was last asked, that it takes data. Costs no system call:
    /// it tells with every turn of the runtime in which earlier data has left.
    fn was_told_of_room(&self) -> bool {
        let mut told = false;
        // For tokio a socket that would block takes nothing until the kernel tells again.
        let _ = self.io.try_io(Interest::WRITABLE, || {
            told = true;
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
        told
    }

    fn asks_for_room(&self) -> bool {
        let mut socket = [PollFd::new(&self.io, PollFlags::OUT)];
        let at_once = Timespec::default();
        poll(&mut socket, Some(&at_once)).is_err() || socket[0].revents().contains(PollFlags::OUT)
    }

    /// Sends without what the kernel refused of late: the source address, segmentation.
    fn transmit_known(&self, transmit: &Transmit<'_>) -> io::Result<()> {
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

    /// Waits until data may be sent.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// Receives into `slices`, at most `quinn_udp::BATCH_SIZE` datagrams or GRO batches; waits for
    /// the first.
    pub(super) async fn receive(
        &self,
        slices: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> io::Result<usize> {
        self.io
            .async_io(Interest::READABLE, || {
                self.state().recv((&self.io).into(), slices, meta)
            })
            .await
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

#[cfg(test)]
mod tests;

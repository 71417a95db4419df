//! The socket under the end-to-end endpoints: packets in and out by path instead of by address.
//!
//! One socket for the opening side (ingress) and one for the accepting side (exit), because an
//! agent may be both to the same peer and each side has its own path.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{EcnCodepoint, RecvMeta, Transmit};
use tokio::sync::Notify;

use super::address::{short_id, virtual_addr};
use super::cid::Cid;
use super::outlet::Outlet;
use super::outlets::Outlets;
use super::parts::Joiner;
use super::ring::RingRun;
use super::transmitting::Transmitting;
use crate::clock;
use crate::forward::{Delivery, DropReason, Fib, Inbox, Packets};
use crate::identity::ShortId;
use crate::tunnel::path::SMALLEST;
use crate::wire::packet::{Header, PacketType};

/// Segments that quinn hands over per call at most (a private constant of quinn 0.11). A call with
/// fewer says that it has no more for now.
const QUINN_SEGMENTS: usize = 10;

/// First bits of a QUIC long header packet that opens a connection (RFC 9000 section 17.2.2):
/// form 1, fixed 1, type Initial.
const INITIAL_MASK: u8 = 0xf0;
const INITIAL: u8 = 0xc0;

/// Form bit of a long header: handshake packets have it, data does not.
const LONG_HEADER: u8 = 0x80;

/// Datagrams handed to quinn in one buffer; GRO merges up to 64. quinn keeps a buffer whole while one
/// byte of it waits to be read, so that readers which stop cost up to this many times what waits:
/// beside downloads the ingress grew by 97 MiB for them with 64.
const RECEIVE_SEGMENTS: usize = 8;

/// The socket of one end-to-end endpoint.
pub struct VirtualSocket {
    kind: PacketType,
    fib: Arc<Fib>,
    inbox: Arc<Inbox>,
    outlets: Arc<Outlets>,
    receive: Mutex<Receiving>,
    transmit: Mutex<Transmitting>,
    flush: Notify,
}

/// What arrived and quinn has not taken.
#[derive(Default)]
struct Receiving {
    rest: Option<Delivery>,
    joiner: Joiner,
    /// Packets put together from halves, and their sources.
    joined: VecDeque<(ShortId, Option<EcnCodepoint>, Vec<u8>)>,
}

impl VirtualSocket {
    /// A socket that sends packets of `kind` along `outlets` and receives from `inbox`. Whoever
    /// makes one runs [`flush_task`](Self::flush_task).
    pub fn new(
        kind: PacketType,
        fib: Arc<Fib>,
        inbox: Arc<Inbox>,
        outlets: Arc<Outlets>,
    ) -> Arc<Self> {
        Arc::new(Self {
            kind,
            fib,
            inbox,
            outlets,
            receive: Mutex::default(),
            transmit: Mutex::default(),
            flush: Notify::new(),
        })
    }

    /// Sends what the ring holds once quinn has stopped adding to it, and after a full port takes
    /// more. Runs until aborted; aborting loses at most packets.
    pub async fn flush_task(self: Arc<Self>) {
        loop {
            self.flush.notified().await;
            loop {
                let (blocked, seen) = {
                    let state = self.lock();
                    (state.blocked.clone(), state.ring.generation())
                };
                if let Some(link) = blocked {
                    // An error here shows in the next send.
                    let _ = link.writable().await;
                    self.lock().blocked = None;
                } else {
                    tokio::task::yield_now().await;
                    if self.lock().ring.generation() != seen {
                        continue;
                    }
                }
                let mut state = self.lock();
                self.flush_ring(&mut state, |_| true);
                if state.blocked.is_some() {
                    continue;
                }
                state.flush_wanted = false;
                let waiting = std::mem::take(&mut state.waiting);
                drop(state);
                waiting.into_iter().for_each(Waker::wake);
                break;
            }
        }
    }

    /// Sends the runs in front that `leaves` says may go.
    fn flush_ring(&self, state: &mut Transmitting, leaves: impl Fn(&RingRun) -> bool) {
        while let Some(run) = state.ring.front().filter(|run| leaves(run)) {
            let sent = run.adjacency.send(&Packets {
                ecn: run.ecn,
                bytes: &run.bytes,
                stride: run.stride,
            });
            match sent {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.blocked = Some(run.adjacency.clone());
                    return;
                }
                // To QUIC a lost packet; any error returned would end the connection.
                Err(_) => self.fib.metrics.dropped(DropReason::Send, run.packets()),
            }
            state.ring.pop_front();
        }
    }

    fn append(
        &self,
        state: &mut Transmitting,
        outlet: &Arc<Outlet>,
        transmit: &Transmit<'_>,
        wanted: impl Fn(&[u8]) -> bool,
    ) {
        let stride = transmit.segment_size.unwrap_or(transmit.contents.len());
        let packets = transmit.contents.chunks(stride.max(1));
        let Some(adjacency) = self.fib.by_neighbor(outlet.first_hop()) else {
            return self.fib.metrics.dropped(DropReason::NextHop, packets.len());
        };
        for packet in packets.filter(|packet| wanted(packet)) {
            state.append(outlet, &adjacency, transmit.ecn, packet);
        }
    }

    /// The accepting side answers a handshake along the reverse of its header, and says what it has
    /// answered already again if that way is new.
    fn learn_return_path(&self, header: &Header<'_>, packet: &[u8]) {
        let is_initial = packet
            .first()
            .is_some_and(|first| first & INITIAL_MASK == INITIAL);
        if self.kind != PacketType::ToIngress || !is_initial {
            return;
        }
        let Some(cid) = Cid::of_source(packet) else {
            return;
        };
        let (handshake, now) = ((header.source(), cid), clock::now());
        // How wide it is, nobody has said.
        let back = Outlet::new(self.kind, self.fib.own, &header.reverse()).within(SMALLEST);
        if !self.outlets.learn(handshake, back.clone(), now) {
            return;
        }
        let mut state = self.lock();
        let answers = state.answers.to(handshake, now).to_vec();
        if let Some(adjacency) = self.fib.by_neighbor(back.first_hop()) {
            for packet in &answers {
                state.append(&back, &adjacency, None, packet);
            }
        }
        self.want_flush(&mut state);
    }

    /// Puts the halves of a delivery together with those that came before.
    fn join(&self, receive: &mut Receiving, header: &Header<'_>, delivery: &Delivery) {
        for payload in delivery.payloads() {
            let Some(packet) = receive.joiner.take(header.source(), payload) else {
                continue;
            };
            if !packet.is_empty() {
                self.learn_return_path(header, &packet);
                let joined = (header.source(), delivery.ecn, packet);
                receive.joined.push_back(joined);
            }
        }
    }

    /// Wakes the flush task if the ring holds anything.
    fn want_flush(&self, state: &mut Transmitting) {
        let pending = state.blocked.is_some() || state.ring.front().is_some();
        if pending && !std::mem::replace(&mut state.flush_wanted, pending) {
            self.flush.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Transmitting> {
        self.transmit.lock().expect("no panic while locked")
    }
}

impl AsyncUdpSocket for VirtualSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(RingPoller { socket: self })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut state = self.lock();
        if state.blocked.is_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let now = clock::now();
        let destination = short_id(transmit.destination);
        let cid = Cid::of_destination(transmit.contents);
        let ways = destination.and_then(|id| Some((id, self.outlets.ways(id, cid, now)?)));
        let Some((destination, ways)) = ways else {
            self.fib.metrics.dropped(DropReason::NoPath, 1);
            return Ok(());
        };
        let stride = transmit.segment_size.unwrap_or(transmit.contents.len());
        // A handshake may answer a forged one, and then nobody answers it.
        if let Some(flow) = &ways.flow
            && !has_long_header(transmit.contents)
        {
            flow.handle_sent(now, stride);
        }
        self.append(&mut state, &ways.active, transmit, |_| true);
        if let Some(mirror) = &ways.mirror {
            self.append(&mut state, mirror, transmit, |_| true);
        }
        if self.kind == PacketType::ToIngress
            && has_long_header(transmit.contents)
            && let Some(cid) = cid
        {
            let packets = transmit.contents.chunks(stride.max(1));
            packets.for_each(|packet| state.answers.note((destination, cid), packet, now));
        }
        for handshake in ways.handshake.iter().flatten() {
            self.append(&mut state, handshake, transmit, has_long_header);
        }
        let segments = transmit.contents.len().div_ceil(stride.max(1));
        let last_for_now = segments < QUINN_SEGMENTS;
        self.flush_ring(&mut state, |run| last_for_now || run.is_complete());
        self.want_flush(&mut state);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut filled = 0;
        let mut receive = self.receive.lock().expect("no panic while locked");
        while filled < bufs.len() {
            if let Some((source, ecn, packet)) = receive.joined.pop_front() {
                if packet.len() <= bufs[filled].len() {
                    bufs[filled][..packet.len()].copy_from_slice(&packet);
                    meta[filled] = received(source, packet.len(), packet.len(), ecn);
                    filled += 1;
                }
                continue;
            }
            let delivery = match receive.rest.take() {
                Some(delivery) => delivery,
                None => match self.inbox.poll_pop(cx) {
                    Poll::Ready(delivery) => {
                        self.outlets
                            .handle_arrived(&delivery.header(), clock::now());
                        delivery
                    }
                    Poll::Pending => break,
                },
            };
            let header = delivery.header();
            if header.packet_type().is_part() {
                self.join(&mut receive, &header, &delivery);
                continue;
            }
            let mut length = 0;
            for payload in delivery.payloads().take(RECEIVE_SEGMENTS) {
                let room = bufs[filled].len() - length;
                if payload.is_empty() || payload.len() > room {
                    continue;
                }
                self.learn_return_path(&header, payload);
                bufs[filled][length..length + payload.len()].copy_from_slice(payload);
                length += payload.len();
            }
            if length > 0 {
                let stride = delivery.stride.saturating_sub(header.header_len());
                let stride = stride.min(length);
                meta[filled] = received(header.source(), length, stride, delivery.ecn);
                filled += 1;
            }
            receive.rest = delivery.without(RECEIVE_SEGMENTS);
        }
        match filled {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(filled)),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(virtual_addr(self.fib.own))
    }

    fn max_transmit_segments(&self) -> usize {
        QUINN_SEGMENTS
    }

    fn max_receive_segments(&self) -> usize {
        RECEIVE_SEGMENTS
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl fmt::Debug for VirtualSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualSocket")
            .field("own", &self.fib.own)
            .field("kind", &self.kind)
            .finish()
    }
}

fn received(source: ShortId, len: usize, stride: usize, ecn: Option<EcnCodepoint>) -> RecvMeta {
    RecvMeta {
        addr: virtual_addr(source),
        len,
        stride,
        ecn,
        // Anything else looks like a migration to quinn.
        dst_ip: None,
    }
}

fn has_long_header(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first & LONG_HEADER != 0)
}

/// Waits for the ring for one quinn task.
#[derive(Debug)]
struct RingPoller {
    socket: Arc<VirtualSocket>,
}

impl UdpPoller for RingPoller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.socket.lock();
        if state.blocked.is_none() {
            return Poll::Ready(Ok(()));
        }
        if !state
            .waiting
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;

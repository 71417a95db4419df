//! The receive loop of one port.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_udp::RecvMeta;

use super::adjacency::{Adjacency, Packets};
use super::blocked::Blocked;
use super::buffer::{Buffer, BufferPool};
use super::fib::{Fib, PathErrorReport};
use super::inbox::{Delivery, Inbox};
use super::metrics::DropReason;
use super::port::Port;
use super::quic_queue::Sender;
use super::quic_socket::QuicSocket;
use crate::clock;
use crate::wire::packet::{Header, PacketType, QUIC_FIXED_BIT, advance};

/// Buffers filled by one system call. With GRO each holds up to 64 KiB, so that more would only
/// keep the tasks they are for waiting.
const RECEIVE_BATCH: usize = 8;

/// Bytes of the largest packet that is taken: what fits the MTU of Ethernet, no agent sends more,
/// and the buffers of quinn hold no more (its default).
const LARGEST: usize = 1_472;

/// Pause after a receive error that is not about one packet.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Where packets for this agent go. `None`: nobody here takes them.
#[derive(Clone, Default)]
pub struct Local {
    /// End-to-end packets for the accepting side.
    pub exit: Option<Arc<Inbox>>,
    /// End-to-end packets for the opening side.
    pub ingress: Option<Arc<Inbox>>,
    /// Path probes and their replies.
    pub probes: Option<Arc<Inbox>>,
    /// Echoes and their answers.
    pub echoes: Option<Arc<Inbox>>,
}

/// Receives on `port` until aborted: QUIC goes to `quic`, packets for this agent to `local`, all
/// others on to their next hop.
pub async fn receive(
    port: Arc<Port>,
    quic: Arc<QuicSocket>,
    fib: Arc<Fib>,
    local: Local,
    pool: BufferPool,
) {
    let mut buffers: Vec<Buffer> = (0..RECEIVE_BATCH).map(|_| pool.take()).collect();
    let mut metas = [RecvMeta::default(); RECEIVE_BATCH];
    let mut receiver = Receiver {
        quic,
        fib,
        local,
        pool,
        blocked: Blocked::new(clock::now()),
        now: clock::now(),
    };
    loop {
        let count = match port.receive(&mut buffers, &mut metas).await {
            Ok(count) => count,
            // An ICMP error about something sent earlier.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => {
                tracing::warn!(%error, port = %port.local_addr(), "receive failed");
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        receiver.now = clock::now();
        for (buffer, meta) in buffers.iter_mut().zip(&metas).take(count) {
            receiver.handle_buffer(buffer, meta).await;
        }
        // One batch can hold 512 KiB: let those it was for run before the next.
        tokio::task::yield_now().await;
    }
}

struct Receiver {
    quic: Arc<QuicSocket>,
    fib: Arc<Fib>,
    local: Local,
    pool: BufferPool,
    blocked: Blocked,
    now: Instant,
}

impl Receiver {
    /// GRO merges whatever came from one address in equal sizes, so a buffer may hold QUIC and
    /// packets of several flows; each run of one kind is handled at once.
    async fn handle_buffer(&mut self, buffer: &mut Buffer, meta: &RecvMeta) {
        if meta.stride > LARGEST {
            let packets = meta.len.div_ceil(meta.stride);
            return self.fib.metrics.dropped(DropReason::Malformed, packets);
        }
        let mut start = 0;
        while start < meta.len {
            let first = &buffer[start..meta.len.min(start + meta.stride)];
            if first[0] & QUIC_FIXED_BIT != 0 {
                let end = run_end(&buffer[..meta.len], start, meta.stride, |packet| {
                    packet[0] & QUIC_FIXED_BIT != 0
                });
                let sender = match self.fib.is_link(meta.addr) {
                    true => Sender::Link,
                    false => Sender::Stranger,
                };
                let lost = self.quic.push(sender, meta, &buffer[start..end], self.now);
                for (reason, lost) in [
                    (DropReason::InboxFull, lost.no_room),
                    (DropReason::Handshake, lost.at_the_door),
                ] {
                    if lost > 0 {
                        self.fib.metrics.dropped(reason, lost);
                    }
                }
                start = end;
                continue;
            }
            let end = match Header::parse(first) {
                Ok(header) => run_end(&buffer[..meta.len], start, meta.stride, |packet| {
                    packet.starts_with(header.as_bytes())
                }),
                Err(_) => {
                    self.fib.metrics.dropped(DropReason::Malformed, 1);
                    start += first.len();
                    continue;
                }
            };
            self.handle_run(buffer, start..end, meta).await;
            start = end;
        }
    }

    async fn handle_run(&mut self, buffer: &mut Buffer, run: Range<usize>, meta: &RecvMeta) {
        let packets = run.len().div_ceil(meta.stride);
        let header = Header::parse(&buffer[run.clone()]).expect("parsed by the caller");
        let Some(from) = self.fib.by_token(header.token()) else {
            return self.fib.metrics.dropped(DropReason::Token, packets);
        };
        if header.here() != self.fib.own || header.previous() != from.neighbor.short() {
            return self.fib.metrics.dropped(DropReason::Index, packets);
        }
        self.fib.heard(&from, self.now);
        if header.next().is_none() {
            let kind = header.packet_type();
            return self.deliver(kind, buffer, run, meta, packets);
        }
        self.forward(&from, buffer, run, meta, packets).await;
    }

    fn deliver(
        &self,
        kind: PacketType,
        buffer: &mut Buffer,
        run: Range<usize>,
        meta: &RecvMeta,
        packets: usize,
    ) {
        let inbox = match kind {
            PacketType::ToExit | PacketType::PartToExit => &self.local.exit,
            PacketType::ToIngress | PacketType::PartToIngress => &self.local.ingress,
            PacketType::Probe | PacketType::ProbeReply => &self.local.probes,
            PacketType::Echo | PacketType::EchoReply => &self.local.echoes,
        };
        let Some(inbox) = inbox else {
            return self.fib.metrics.dropped(DropReason::NoReceiver, packets);
        };
        let mut taken = self.pool.take();
        let range = if run == (0..meta.len) {
            std::mem::swap(buffer, &mut taken);
            run
        } else {
            taken[..run.len()].copy_from_slice(&buffer[run.clone()]);
            0..run.len()
        };
        let given_up = inbox.push(Delivery {
            buffer: taken,
            start: range.start,
            end: range.end,
            stride: meta.stride,
            ecn: meta.ecn,
        });
        if let Some(given_up) = given_up {
            let packets = given_up.payloads().count();
            self.fib.metrics.dropped(DropReason::InboxFull, packets);
        }
    }

    async fn forward(
        &mut self,
        from: &Adjacency,
        buffer: &mut Buffer,
        run: Range<usize>,
        meta: &RecvMeta,
        packets: usize,
    ) {
        let header = Header::parse(&buffer[run.clone()]).expect("parsed by the caller");
        let next_hop = header.next().expect("the caller delivers at the last hop");
        let next = self.fib.by_neighbor(next_hop);
        let Some(next) = next.filter(|_| self.fib.transit()) else {
            let reason = match self.fib.transit() {
                true => DropReason::NextHop,
                false => DropReason::NoTransit,
            };
            self.fib.metrics.dropped(reason, packets);
            let report = || PathErrorReport {
                next_hop,
                destination: header.destination(),
                back: header.back(),
            };
            let broken = (next_hop, header.source());
            return self.fib.report_path_error(from, broken, self.now, report);
        };
        let token = next.token_out();
        for packet in buffer[run.clone()].chunks_mut(meta.stride) {
            advance(packet, token);
        }
        let onward = Packets {
            ecn: meta.ecn,
            bytes: &buffer[run.clone()],
            stride: meta.stride,
        };
        match self.blocked.send(&next, &onward).await {
            Ok(()) => self.fib.metrics.forwarded(packets, run.len()),
            Err(reason) => self.fib.metrics.dropped(reason, packets),
        }
    }
}

/// The end of the run of packets that starts at `start` and whose packets all satisfy `same`.
fn run_end(bytes: &[u8], start: usize, stride: usize, same: impl Fn(&[u8]) -> bool) -> usize {
    let mut end = bytes.len().min(start + stride);
    while end < bytes.len() {
        let next = bytes.len().min(end + stride);
        if !same(&bytes[end..next]) {
            break;
        }
        end = next;
    }
    end
}

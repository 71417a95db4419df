//! The transmit ring: collects what quinn hands over in small calls into long runs, each of which
//! leaves with one system call.
//!
//! quinn hands over at most 10 segments a call; sending each by itself costs a fifth of the
//! throughput (design section 5: 4.0 against 5.1 Gbit/s).

use std::collections::VecDeque;
use std::sync::Arc;

use quinn_udp::EcnCodepoint;

use super::outlet::Outlet;
use crate::forward::Adjacency;

/// Packets in one run. Linux segments at most 64 per send; 44 packets of 1,472 bytes are as many
/// as fit [`RUN_BYTES`].
pub(super) const RUN_PACKETS: usize = 44;

/// Bytes in one run: the largest UDP payload over IPv4.
pub(super) const RUN_BYTES: usize = 65_507;

/// Empty run buffers kept for reuse.
const SPARE: usize = 8;

/// Packets of one path, ECN mark and size (the last may be shorter).
pub(super) struct RingRun {
    pub(super) outlet: Arc<Outlet>,
    pub(super) adjacency: Arc<Adjacency>,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) bytes: Vec<u8>,
    pub(super) stride: usize,
    packets: usize,
    /// A shorter packet ended it.
    closed: bool,
}

/// Runs in the order in which they leave.
#[derive(Default)]
pub(super) struct Ring {
    runs: VecDeque<RingRun>,
    spare: Vec<Vec<u8>>,
    generation: u64,
}

impl RingRun {
    /// Packets in this run.
    pub(super) fn packets(&self) -> usize {
        self.packets
    }

    fn takes(
        &self,
        outlet: &Arc<Outlet>,
        adjacency: &Arc<Adjacency>,
        ecn: Option<EcnCodepoint>,
        packet: usize,
    ) -> bool {
        !self.closed
            && !self.is_full()
            && self.ecn == ecn
            && packet <= self.stride
            && Arc::ptr_eq(&self.outlet, outlet)
            && Arc::ptr_eq(&self.adjacency, adjacency)
    }

    /// Whether it can grow no more, so that waiting gains nothing.
    pub(super) fn is_complete(&self) -> bool {
        self.closed || self.is_full()
    }

    fn is_full(&self) -> bool {
        self.packets >= RUN_PACKETS || self.bytes.len() + self.stride > RUN_BYTES
    }
}

impl Ring {
    /// Adds one packet: the outlet's header and `payload`. Order is kept per outlet.
    pub(super) fn append(
        &mut self,
        outlet: &Arc<Outlet>,
        adjacency: &Arc<Adjacency>,
        ecn: Option<EcnCodepoint>,
        payload: &[u8],
    ) {
        self.generation += 1;
        let packet = outlet.header_len() + payload.len();
        let last = self
            .runs
            .iter_mut()
            .rev()
            .find(|run| Arc::ptr_eq(&run.outlet, outlet));
        let run = match last {
            Some(run) if run.takes(outlet, adjacency, ecn, packet) => run,
            Some(_) | None => self.open(outlet, adjacency, ecn, packet),
        };
        outlet.write_header(adjacency.token_out(), &mut run.bytes);
        run.bytes.extend_from_slice(payload);
        run.packets += 1;
        run.closed = packet < run.stride;
    }

    fn open(
        &mut self,
        outlet: &Arc<Outlet>,
        adjacency: &Arc<Adjacency>,
        ecn: Option<EcnCodepoint>,
        stride: usize,
    ) -> &mut RingRun {
        let bytes = self
            .spare
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(RUN_BYTES));
        self.runs.push_back(RingRun {
            outlet: outlet.clone(),
            adjacency: adjacency.clone(),
            ecn,
            bytes,
            stride,
            packets: 0,
            closed: false,
        });
        self.runs.back_mut().expect("just pushed")
    }

    /// Changes with every packet.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The run that leaves next.
    pub(super) fn front(&self) -> Option<&RingRun> {
        self.runs.front()
    }

    /// Drops the run that left.
    pub(super) fn pop_front(&mut self) {
        if let Some(mut run) = self.runs.pop_front()
            && self.spare.len() < SPARE
        {
            run.bytes.clear();
            self.spare.push(run.bytes);
        }
    }
}

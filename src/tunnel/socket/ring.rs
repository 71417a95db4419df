//! The transmit ring: collects what quinn hands over in small calls into long runs, each of which
//! leaves with one system call.
//!
//! quinn hands over at most 10 segments a call; sending each by itself costs a fifth of the
//! throughput (4.0 against 5.1 Gbit/s through one transit, in a prototype).

use std::collections::VecDeque;
use std::sync::Arc;

use quinn_udp::EcnCodepoint;

use super::outlet::Outlet;
use crate::forward::Adjacency;

/// Packets in one run. Linux segments at most 64 per send; 44 packets of 1,472 bytes are as many
/// as fit [`RUN_BYTES`].
pub(crate) const RUN_PACKETS: usize = 44;

/// Bytes in one run: the largest UDP payload over IPv4.
pub(crate) const RUN_BYTES: usize = 65_507;

/// Empty run buffers kept for reuse.
const SPARE: usize = 8;

/// Packets of one path, ECN mark and size (the last may be shorter).
pub(crate) struct RingRun {
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) adjacency: Arc<Adjacency>,
    pub(crate) ecn: Option<EcnCodepoint>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) stride: usize,
    packets: usize,
    /// A shorter packet ended it.
    closed: bool,
}

/// Runs in the order in which they leave.
#[derive(Default)]
pub(crate) struct Ring {
    runs: VecDeque<RingRun>,
    spare: Vec<Vec<u8>>,
    generation: u64,
}

impl RingRun {
    /// Packets in this run.
    pub(crate) fn packets(&self) -> usize {
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
    pub(crate) fn is_complete(&self) -> bool {
        self.closed || self.is_full()
    }

    fn is_full(&self) -> bool {
        self.packets >= RUN_PACKETS || self.bytes.len() + self.stride > RUN_BYTES
    }
}

impl Ring {
    /// Adds one packet: the outlet's header and `payload`. Order is kept per outlet.
    pub(crate) fn append(
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
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The run that leaves next.
    pub(crate) fn front(&self) -> Option<&RingRun> {
        self.runs.front()
    }

    /// Drops the run that left.
    pub(crate) fn pop_front(&mut self) {
        if let Some(mut run) = self.runs.pop_front()
            && self.spare.len() < SPARE
        {
            run.bytes.clear();
            self.spare.push(run.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{Port, Remote};
    use crate::identity::{AgentId, ShortId};
    use crate::wire::packet::PacketType;

    fn outlet(hop: u64) -> Arc<Outlet> {
        Outlet::new(PacketType::ToExit, ShortId(1), &[ShortId(hop)])
    }

    /// A tokio runtime is around: ports register with it.
    fn adjacency() -> Arc<Adjacency> {
        let port = Port::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let remote = Remote {
            address: port.local_addr(),
            source: None,
        };
        Adjacency::new(AgentId([2; 16]), port, remote, 7)
    }

    fn sizes(ring: &mut Ring) -> Vec<(usize, usize)> {
        let mut runs = Vec::new();
        while let Some(run) = ring.front() {
            runs.push((run.packets(), run.bytes.len()));
            ring.pop_front();
        }
        runs
    }

    #[tokio::test]
    async fn equal_packets_share_a_run_and_a_shorter_one_closes_it() {
        let (outlet, adjacency, mut ring) = (outlet(2), adjacency(), Ring::default());
        let header = outlet.header_len();
        for length in [100, 100, 40, 100] {
            ring.append(&outlet, &adjacency, None, &vec![0; length]);
        }
        assert!(ring.front().unwrap().is_complete());
        let first = 3 * header + 240;
        assert_eq!(sizes(&mut ring), [(3, first), (1, header + 100)]);
    }

    #[tokio::test]
    async fn a_longer_packet_another_mark_or_path_opens_a_run() {
        let (a, b, adjacency) = (outlet(2), outlet(3), adjacency());
        let mut ring = Ring::default();
        ring.append(&a, &adjacency, None, &[0; 100]);
        ring.append(&a, &adjacency, None, &[0; 101]);
        ring.append(&a, &adjacency, Some(EcnCodepoint::Ect0), &[0; 101]);
        ring.append(&b, &adjacency, Some(EcnCodepoint::Ect0), &[0; 101]);
        // The last run of the first path is still open, though another path's came after it.
        ring.append(&a, &adjacency, Some(EcnCodepoint::Ect0), &[0; 101]);
        let packets: Vec<usize> = sizes(&mut ring).into_iter().map(|run| run.0).collect();
        assert_eq!(packets, [1, 1, 2, 1]);
    }

    #[tokio::test]
    async fn a_run_ends_at_its_packets_or_its_bytes() {
        let (outlet, adjacency, mut ring) = (outlet(2), adjacency(), Ring::default());
        for _ in 0..RUN_PACKETS + 1 {
            ring.append(&outlet, &adjacency, None, &[0; 100]);
        }
        let packets: Vec<usize> = sizes(&mut ring).into_iter().map(|run| run.0).collect();
        assert_eq!(packets, [RUN_PACKETS, 1]);
        for _ in 0..3 {
            ring.append(&outlet, &adjacency, None, &[0; 30_000]);
        }
        let runs = sizes(&mut ring);
        assert!(runs.iter().all(|(_, bytes)| *bytes <= RUN_BYTES));
        assert_eq!(runs.len(), 2);
    }

    #[tokio::test]
    async fn every_packet_carries_the_header_and_token_of_its_path() {
        let (outlet, adjacency, mut ring) = (outlet(2), adjacency(), Ring::default());
        ring.append(&outlet, &adjacency, None, b"ab");
        ring.append(&outlet, &adjacency, None, b"cd");
        let run = ring.front().unwrap();
        for (packet, payload) in run.bytes.chunks(run.stride).zip([b"ab", b"cd"]) {
            let header = crate::wire::packet::Header::parse(packet).unwrap();
            assert_eq!(header.token(), 7);
            assert_eq!(header.destination(), ShortId(2));
            assert_eq!(&packet[header.header_len()..], payload);
        }
    }
}

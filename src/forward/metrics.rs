//! What the data plane counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Not a packet header.
    Malformed,
    /// The token names no live link.
    Token,
    /// The header's index does not name this agent, or its previous hop is not the sender.
    Index,
    /// No live link to the next hop.
    NextHop,
    /// This agent relays for nobody.
    NoTransit,
    /// The kernel took no more.
    Blocked,
    /// The kernel refused the packet.
    Send,
    /// The local endpoint is behind.
    InboxFull,
    /// The first packet of a stranger's handshake, over the limit.
    Handshake,
    /// Nobody here takes this type.
    NoReceiver,
    /// A path probe that proves nothing.
    Probe,
    /// An echo over the limit, or an answer to one that nobody waits for.
    Echo,
    /// No path to the destination.
    NoPath,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: &'static str,
}

impl DropReason {
    const ALL: [Self; 13] = [
        Self::Malformed,
        Self::Token,
        Self::Index,
        Self::NextHop,
        Self::NoTransit,
        Self::Blocked,
        Self::Send,
        Self::InboxFull,
        Self::Handshake,
        Self::NoReceiver,
        Self::Probe,
        Self::Echo,
        Self::NoPath,
    ];

    /// The label of the metric.
    fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Token => "token",
            Self::Index => "index",
            Self::NextHop => "next_hop",
            Self::NoTransit => "no_transit",
            Self::Blocked => "blocked",
            Self::Send => "send",
            Self::InboxFull => "inbox_full",
            Self::Handshake => "handshake",
            Self::NoReceiver => "no_receiver",
            Self::Probe => "probe",
            Self::Echo => "echo",
            Self::NoPath => "no_path",
        }
    }
}

/// Counters of the data plane. Cloning shares them.
#[derive(Clone, Default)]
pub struct Metrics {
    forwarded_packets: Counter,
    forwarded_bytes: Counter,
    dropped: Family<DropLabels, Counter>,
}

impl Metrics {
    /// Adds the counters to `registry`, each reason from 0: a rate needs the value before the first
    /// loss.
    pub fn register(&self, registry: &mut Registry) {
        for reason in DropReason::ALL {
            self.dropped(reason, 0);
        }
        registry.register(
            "forwarded_packets",
            "Packets sent on for other agents",
            self.forwarded_packets.clone(),
        );
        registry.register(
            "forwarded_bytes",
            "Bytes of packets sent on for other agents",
            self.forwarded_bytes.clone(),
        );
        registry.register(
            "dropped_packets",
            "Packets that were not delivered or forwarded",
            self.dropped.clone(),
        );
    }

    pub(super) fn forwarded(&self, packets: usize, bytes: usize) {
        self.forwarded_packets.inc_by(packets as u64);
        self.forwarded_bytes.inc_by(bytes as u64);
    }

    /// Counts `packets` lost for `reason`.
    pub fn dropped(&self, reason: DropReason, packets: usize) {
        let reason = reason.label();
        let counter = self.dropped.get_or_create(&DropLabels { reason });
        counter.inc_by(packets as u64);
    }

    /// Packets dropped for `reason` so far.
    #[cfg(test)]
    pub(crate) fn dropped_count(&self, reason: DropReason) -> u64 {
        let reason = reason.label();
        self.dropped.get_or_create(&DropLabels { reason }).get()
    }

    /// Packets forwarded so far.
    pub fn forwarded_count(&self) -> u64 {
        self.forwarded_packets.get()
    }
}

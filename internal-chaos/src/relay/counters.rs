//! What a relay did with its packets.

use serde::Serialize;

use crate::rules::RuleCounters;

/// One direction of an impaired link, in packets unless said otherwise. `received = delivered +
/// lost + cut + too_large + queue_full + held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PipeCounters {
    pub received: u64,
    /// Of UDP payload.
    pub received_bytes: u64,
    pub delivered: u64,
    pub delivered_bytes: u64,
    /// By the loss model.
    pub lost: u64,
    /// While the link was cut or in an outage.
    pub cut: u64,
    /// Larger than the MTU.
    pub too_large: u64,
    pub queue_full: u64,
    /// Waiting or on the wire.
    pub held: u64,
}

/// A relay's counters since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    pub rules: RuleCounters,
    pub to_server: PipeCounters,
    pub to_client: PipeCounters,
    /// Delivered packets that the system refused to send, such as to an agent that is restarting.
    pub unsent: u64,
    /// Clients that are relayed now.
    pub flows: usize,
    /// How often all flows changed their outward ports.
    pub rebinds: u64,
}

impl Counters {
    /// Packets sent on, both directions together.
    pub fn carried(&self) -> u64 {
        self.to_server.delivered + self.to_client.delivered - self.unsent
    }
}

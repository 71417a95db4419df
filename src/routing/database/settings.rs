//! What the core is told: its settings, its own routes, its links.

use std::time::Duration;

use ipnet::IpNet;

use super::adjacency::LinkMetrics;
use crate::config::Limits;
use crate::identity::{AgentId, DomainPattern};

/// Fixed for the life of a core.
#[derive(Clone, Debug)]
pub struct Settings {
    pub id: AgentId,
    /// Names this process; larger than that of any earlier process with this key.
    pub epoch: u64,
    /// For people; cut to 64 bytes.
    pub display_name: String,
    /// How far own advertisements reach, 1..=15.
    pub max_hops: u8,
    /// Refresh of own advertisements.
    pub advertise_interval: Duration,
    /// Lifetime of own advertisements; must exceed `advertise_interval`.
    pub route_ttl: Duration,
    /// Whether this agent relays for others.
    pub transit: bool,
    pub limits: Limits,
}

/// What this agent is an exit for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnRoutes {
    /// Prefixes and their base metrics. Order and duplicates do not matter (the last metric of a
    /// prefix counts).
    pub prefixes: Vec<(IpNet, u32)>,
    pub domains: Vec<DomainPattern>,
    /// Whether name queries are answered with resolvers that the file names.
    pub resolves: bool,
}

/// A control session with a neighbour was established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkUp {
    pub neighbor: AgentId,
    pub metrics: LinkMetrics,
    /// The epoch in the neighbour's hello.
    pub peer_epoch: u64,
}

//! One exit that a connection may take, and the order in which exits are preferred.

#![deny(clippy::wildcard_enum_match_arm)]

use ipnet::IpNet;

use crate::identity::AgentId;

use crate::routing::paths::path::{Path, Standing};

/// An exit for a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub exit: AgentId,
    /// The prefix that led to this exit, if one did.
    pub prefix: Option<IpNet>,
    /// The domain pattern that led to this exit, if one did.
    pub domain: Option<String>,
    /// The exit's base metric plus the path's cost.
    pub metric: u32,
    /// The best path; `None` if we are the exit ourselves.
    pub path: Option<Path>,
    pub standing: Standing,
}

impl Candidate {
    /// Links to cross; 0 if we are the exit ourselves.
    pub fn hops(&self) -> usize {
        self.path.as_ref().map_or(0, |path| path.hops.len())
    }

    /// The path's round trip, microseconds; 0 if we are the exit ourselves.
    pub fn rtt_us(&self) -> u64 {
        self.path.as_ref().map_or(0, |path| path.rtt_us)
    }

    /// Whether `balance` may use this exit and `other` in turn.
    pub fn equals_in_metric(&self, other: &Self) -> bool {
        (self.standing, self.metric) == (other.standing, other.metric)
    }
}

/// What decides between exits of one destination. The smaller is preferred; compared in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) standing: Standing,
    pub(super) metric: u32,
    pub(super) rtt_us: u64,
    pub(super) exit: AgentId,
}

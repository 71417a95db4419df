//! The mesh as of one moment: what the control task publishes and everybody else reads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::config::Congestion;
use crate::identity::{AgentId, ShortId};
use crate::routing::{Path, PathTable, RouteTable};
use crate::tunnel::{MeshView, PathView, SessionSettings, inner_packet};

/// Packets for sessions of which nothing is known yet.
const UNKNOWN_MTU: u16 = 0;

/// QUIC's smallest packet (RFC 9000 section 14).
const SMALLEST: u16 = 1_200;

/// An immutable view of the mesh.
#[derive(Debug)]
pub(super) struct Mesh {
    pub(super) table: RouteTable,
    /// Which process of each origin advertises.
    pub(super) incarnations: BTreeMap<AgentId, u64>,
    /// Neighbours whose links are suspect, and when each was last heard as far as packets tell.
    pub(super) suspects: BTreeMap<AgentId, Option<Instant>>,
    /// Another process has this agent's key.
    pub(super) duplicate_identity: bool,
    pub(super) limits: SessionLimits,
}

/// The part of the configuration that sizes sessions.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLimits {
    pub(super) max_hops: u8,
    pub(super) streams: u32,
    pub(super) window: u32,
    pub(super) congestion: Congestion,
}

impl Mesh {
    /// What a session with `other` may use now: packets that pass the best path and the alternate.
    pub(super) fn session(&self, other: Option<AgentId>) -> SessionSettings {
        let paths = other.and_then(|other| self.table.path_table().paths(other));
        let rtt = paths.as_ref().map_or(Duration::ZERO, |set| set.best.rtt());
        let ways = paths.into_iter();
        let ways = ways.flat_map(|set| [Some(set.best), set.alternate]);
        // No QUIC link takes less than 1,200: such a claim is a lie, or nothing is known yet.
        let narrowest = ways
            .flatten()
            .map(|path| path.mtu)
            .filter(|mtu| *mtu >= SMALLEST)
            .min();
        SessionSettings {
            packet: inner_packet(narrowest.unwrap_or(UNKNOWN_MTU), self.limits.max_hops),
            rtt,
            streams: self.limits.streams,
            window: self.limits.window,
            congestion: self.limits.congestion,
        }
    }
}

impl Mesh {
    /// What a session that `source` opens may use now.
    pub(super) fn session_with(&self, source: ShortId) -> SessionSettings {
        self.session(self.named(&[source]).first().copied())
    }

    /// The agents that headers name so; without those that are not known any more.
    pub(super) fn named(&self, hops: &[ShortId]) -> Vec<AgentId> {
        let agents = self.table.path_table().graph().agents();
        let named = |hop: &ShortId| agents.iter().find(|agent| agent.id.short() == *hop);
        hops.iter()
            .filter_map(named)
            .map(|agent| agent.id)
            .collect()
    }
}

impl PathView for Mesh {
    fn path_table(&self) -> &PathTable {
        self.table.path_table()
    }

    fn incarnation(&self, exit: AgentId) -> Option<u64> {
        self.incarnations.get(&exit).copied()
    }

    fn is_suspect(&self, neighbor: ShortId) -> bool {
        self.suspects.keys().any(|id| id.short() == neighbor)
    }

    fn last_heard(&self, neighbor: ShortId) -> Option<Instant> {
        let mut suspects = self.suspects.iter();
        let (_, heard) = suspects.find(|(id, _)| id.short() == neighbor)?;
        *heard
    }
}

impl MeshView for Mesh {
    fn session_settings(&self, path: &Path) -> SessionSettings {
        self.session(Some(path.exit()))
    }
}

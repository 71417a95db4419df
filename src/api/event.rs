//! The JSON shape of `/api/events`. Fields and kinds are added, never renamed.

use serde::{Deserialize, Serialize};

use crate::identity::AgentId;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventView {
    /// Grows with time, from 1 at the start of the process.
    pub number: u64,
    /// RFC 3339, UTC, milliseconds.
    pub at: String,
    /// What the agent in `peer` calls itself, or did before it left; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_name: Option<String>,
    #[serde(flatten)]
    pub what: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    LinkUp {
        peer: AgentId,
    },
    /// Heartbeats are late: new paths avoid the link.
    LinkSuspect {
        peer: AgentId,
    },
    /// A suspected link was heard again.
    LinkCleared {
        peer: AgentId,
    },
    LinkDown {
        peer: AgentId,
        reason: String,
    },
    SessionOpened {
        side: SideView,
        peer: AgentId,
    },
    SessionEnded {
        side: SideView,
        peer: AgentId,
        reason: String,
    },
    Failover(FailoverView),
    /// The stall of an earlier failover became known.
    Recovered {
        /// The failover's number.
        failover: u64,
        stall_ms: f64,
    },
    /// A health check of this exit went down.
    HealthDown {
        check: String,
        /// Of its last failure.
        reason: String,
        /// Routes that are withdrawn by it; at most the first 32.
        routes: Vec<String>,
        /// All of them.
        route_count: usize,
    },
    /// A health check of this exit went up.
    HealthUp {
        check: String,
        /// Routes that are advertised from now on; at most the first 32.
        routes: Vec<String>,
        /// All of them.
        route_count: usize,
    },
    /// An agent's advertisement was refused for its date.
    ClockSkew {
        peer: AgentId,
        /// Of this host's clock; negative: behind.
        ahead_ms: i64,
    },
    /// This host's clock was set.
    ClockSet {
        /// Of what it showed before; negative: back.
        ahead_ms: i64,
    },
    /// A kind that this release does not know.
    #[serde(other)]
    Unknown,
}

impl EventKind {
    /// The other agent, if it is about one.
    pub fn peer(&self) -> Option<AgentId> {
        match self {
            Self::LinkUp { peer }
            | Self::LinkSuspect { peer }
            | Self::LinkCleared { peer }
            | Self::LinkDown { peer, .. }
            | Self::SessionOpened { peer, .. }
            | Self::SessionEnded { peer, .. }
            | Self::ClockSkew { peer, .. } => Some(*peer),
            Self::Failover(failover) => Some(failover.peer),
            Self::Recovered { .. }
            | Self::HealthDown { .. }
            | Self::HealthUp { .. }
            | Self::ClockSet { .. }
            | Self::Unknown => None,
        }
    }
}

/// Which end of a session an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SideView {
    Ingress,
    Exit,
}

/// A session that moved to another path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailoverView {
    pub side: SideView,
    /// The other end of the session.
    pub peer: AgentId,
    /// As in `warren_failovers_total{cause}`.
    pub cause: String,
    /// Each hop of the old path, the other end last.
    pub from: Vec<AgentId>,
    /// Each hop of the new path.
    pub to: Vec<AgentId>,
    /// From the old path's last sign of life until it was doubted; `null`: no silence led to the
    /// move.
    pub detection_ms: Option<f64>,
    /// The longest gap between two arrivals around the move; `null`: nothing was on its way, or
    /// nothing has arrived yet.
    pub stall_ms: Option<f64>,
    /// Bytes sent and not acknowledged at the move.
    pub in_flight_bytes: u64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_of_a_later_release_does_not_spoil_the_list() {
        let list = json!([
            { "number": 1, "at": "2025-11-21T10:00:00.025Z", "kind": "moon_landing", "crew": 3 },
            { "number": 2, "at": "2025-11-21T10:00:00.026Z", "kind": "recovered",
              "failover": 1, "stall_ms": 2 },
        ]);
        let list: Vec<EventView> = serde_json::from_value(list).unwrap();
        assert_eq!(list[0].what, EventKind::Unknown);
        let (failover, stall_ms) = (1, 2.0);
        assert_eq!(list[1].what, EventKind::Recovered { failover, stall_ms });
    }
}

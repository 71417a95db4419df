//! What the core wants done, in order.

use std::collections::VecDeque;

use super::db::Change;
use crate::identity::AgentId;
use crate::wire::ControlMessage;

/// One thing for the shell to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Put `message` on the control stream to `to`.
    Send {
        to: AgentId,
        message: ControlMessage,
    },
    /// Take the link down; then report it with `handle_link_down`.
    Disconnect {
        neighbor: AgentId,
        reason: DisconnectReason,
    },
    /// Nodes or links changed: compute paths again.
    TopologyChanged,
    /// Prefixes, domains, or what exits say of themselves changed: build the tables again.
    RoutesChanged,
    /// Own advertisements are in this epoch now: store it, so that the next process starts past it.
    EpochAdvanced(u64),
    /// Something a person should know. Rate-limited.
    Alarm(Alarm),
}

/// Why a neighbour is not worth talking to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    #[error("it sent an advertisement of {origin} with a bad signature")]
    BadSignature { origin: AgentId },
}

/// One log line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    #[error(
        "another process uses this agent's key (its epoch is {other}): {}; give each agent its own key",
        if *.yielded { "it is newer, so this one stops advertising" } else { "it is older and has to stop advertising" }
    )]
    DuplicateIdentity { other: u64, yielded: bool },
    #[error(
        "clock skew: an advertisement of {origin} is dated {} ms {} this host's clock; \
         set the clocks of both hosts",
        ahead_ms.unsigned_abs(), direction(*.ahead_ms)
    )]
    ClockSkew { origin: AgentId, ahead_ms: i64 },
    #[error(
        "this host's clock was set {} s {}; agents leave each other out of the mesh while their \
         clocks are more than 120 s apart",
        (ahead_ms.unsigned_abs() + 500) / 1_000, if *.ahead_ms < 0 { "back" } else { "ahead" }
    )]
    ClockSet { ahead_ms: i64 },
    #[error(
        "route {route} is not advertised: this agent's certificate does not grant it; issue one that does"
    )]
    RouteNotGranted { route: String },
    #[error(
        "{routes} routes are more than limits.routes_per_origin ({limit}): the rest is not advertised"
    )]
    TooManyRoutes { routes: usize, limit: usize },
    #[error(
        "{links} links are more than limits.neighbors_per_origin ({limit}): the rest is not advertised"
    )]
    TooManyNeighbors { links: usize, limit: usize },
    #[error("this agent's own certificate would be refused by others: {0}")]
    OwnCertificate(String),
    #[error("{origin} advertises {route}, which its certificate does not grant: refused")]
    NotGranted { origin: AgentId, route: String },
}

fn direction(ahead_ms: i64) -> &'static str {
    if ahead_ms < 0 { "behind" } else { "ahead of" }
}

/// Outputs not yet polled. Changes coalesce and come last.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Output>,
    change: Change,
}

impl Outbox {
    pub(super) fn push(&mut self, output: Output) {
        self.queue.push_back(output);
    }

    pub(super) fn changed(&mut self, change: Change) {
        self.change.add(change);
    }

    /// Whether links changed since the last poll.
    pub(super) fn is_topology_changed(&self) -> bool {
        self.change.topology
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        if let Some(output) = self.queue.pop_front() {
            return Some(output);
        }
        if std::mem::take(&mut self.change.topology) {
            return Some(Output::TopologyChanged);
        }
        std::mem::take(&mut self.change.routes).then_some(Output::RoutesChanged)
    }
}

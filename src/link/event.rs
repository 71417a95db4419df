//! What links tell the control task.

use std::time::Duration;

use crate::identity::AgentId;
use crate::wire::{ControlMessage, PathError};

/// From an agent's goodbye until it may have started again. It ended some 90 ms after its goodbye
/// where that was measured, and refuses dials until then.
const RESTART: Duration = Duration::from_millis(250);

/// Something that happened on the link kept with a neighbour. Events of one neighbour arrive in
/// order, those of a link that was replaced never after the `Up` of its successor.
#[derive(Debug)]
pub enum LinkEvent {
    /// A link is up; if there was one with this neighbour, this one replaces it.
    Up {
        neighbor: AgentId,
        /// The larger of both sides' configured costs.
        cost: u32,
        rtt: Duration,
        /// Largest UDP payload known to pass, bytes; 0 while unknown.
        mtu: u16,
        /// The neighbour's epoch.
        epoch: u64,
        /// The neighbour says that it stood still until a moment ago.
        stood_still: bool,
    },
    /// Measurements of a live link changed.
    Measured {
        neighbor: AgentId,
        rtt: Duration,
        mtu: u16,
    },
    /// The neighbour was silent for 1.5 heartbeats (`on`), or was heard again.
    Suspect { neighbor: AgentId, on: bool },
    /// The link is gone.
    Down {
        neighbor: AgentId,
        reason: DownReason,
    },
    /// A control message for the routing core.
    Message {
        from: AgentId,
        message: ControlMessage,
    },
    /// A path of ours is broken somewhere else, says the neighbour that it leaves through.
    PathError { from: AgentId, error: PathError },
}

/// Why a link went down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// Nothing heard for `connections.dead_after` heartbeats.
    Silent,
    /// The neighbour says that of us.
    Unheard,
    /// The neighbour said goodbye.
    Goodbye(String),
    /// The connection ended; the text says why.
    Closed(String),
    /// The neighbour broke the protocol.
    Violation(String),
    /// The neighbour takes our control messages too slowly.
    Behind,
    /// Another link with the same neighbour was kept.
    Replaced,
    /// We are stopping.
    Stopping,
    /// Our file names the neighbour no more.
    Removed,
    /// The neighbour's certificate counts no more; the text says why.
    Distrusted(String),
}

impl DownReason {
    /// After how long the neighbour may be there again; `None`: it does not want us, or we do not
    /// want it.
    pub(super) fn back_after(&self) -> Option<Duration> {
        match self {
            // Nobody wanted that: packets were lost, or one end stood still or died.
            Self::Silent | Self::Unheard => Some(Duration::ZERO),
            Self::Goodbye(_) => Some(RESTART),
            Self::Closed(_)
            | Self::Violation(_)
            | Self::Behind
            | Self::Replaced
            | Self::Stopping
            | Self::Removed
            | Self::Distrusted(_) => None,
        }
    }
}

impl DownReason {
    /// Whether the link may have ended because this process stood still.
    pub fn fits_standstill(&self) -> bool {
        match self {
            // A neighbour that has forgotten the link resets it.
            Self::Silent | Self::Unheard | Self::Closed(_) => true,
            Self::Goodbye(_)
            | Self::Violation(_)
            | Self::Behind
            | Self::Replaced
            | Self::Stopping
            | Self::Removed
            | Self::Distrusted(_) => false,
        }
    }
}

impl std::fmt::Display for DownReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Silent => f.write_str("no heartbeat"),
            Self::Unheard => f.write_str("neighbour heard no heartbeat from us"),
            Self::Goodbye(reason) => write!(f, "neighbour said goodbye: {reason}"),
            Self::Closed(reason) => write!(f, "connection closed: {reason}"),
            Self::Violation(what) => write!(f, "protocol violation: {what}"),
            Self::Behind => f.write_str("neighbour does not take control messages"),
            Self::Replaced => f.write_str("replaced by another link"),
            Self::Stopping => f.write_str("stopping"),
            Self::Removed => f.write_str("the peer was removed from the configuration"),
            Self::Distrusted(why) => write!(f, "refused the peer: {why}"),
        }
    }
}

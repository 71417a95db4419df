//! Why a client was not connected, what it is told, and what may still be tried.

use std::time::Duration;

use super::outcome::Refusal;
use crate::identity::AgentId;
use crate::tunnel::OpenError;
use crate::wire::ConnectStatus;

/// Why a client was not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no live route to {0}")]
    NoRoute(String),
    #[error("{0} has no address")]
    NotFound(String),
    #[error("no resolver could answer for {0}")]
    NotResolved(String),
    #[error("no answer for {0} in time")]
    TimedOut(String),
    #[error(transparent)]
    Mesh(#[from] OpenError),
    #[error("exit {exit} gave no sign of life within {} ms", .after.as_millis())]
    Silent { exit: AgentId, after: Duration },
    #[error("stream to exit {exit} failed: {reason}")]
    Stream { exit: AgentId, reason: String },
    #[error("exit {exit} answered {status:?}: {detail}")]
    Exit {
        exit: AgentId,
        status: ConnectStatus,
        detail: String,
    },
}

/// Where an attempt failed, and so what is left to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The way to the exit was lost. Other exits, and this one once it is in reach again.
    Way,
    /// The exit is silent, drains, or is in trouble. Other exits.
    Exit,
    /// The way from the exit to the target. Other exits.
    Onward,
    /// The target has answered, and would not answer another exit otherwise. Other targets.
    Target,
}

impl ConnectError {
    /// What the client is told.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::NoRoute(_) | Self::Mesh(_) | Self::Stream { .. } => Refusal::NoRoute,
            Self::NotFound(_) | Self::NotResolved(_) => Refusal::HostUnreachable,
            Self::TimedOut(_) | Self::Silent { .. } => Refusal::TimedOut,
            Self::Exit { status, .. } => match status {
                ConnectStatus::NotAllowed => Refusal::NotAllowed,
                ConnectStatus::NetworkUnreachable | ConnectStatus::Draining => Refusal::NoRoute,
                ConnectStatus::HostUnreachable | ConnectStatus::NameNotFound => {
                    Refusal::HostUnreachable
                }
                ConnectStatus::Refused => Refusal::Refused,
                ConnectStatus::TimedOut => Refusal::TimedOut,
                ConnectStatus::Internal | ConnectStatus::Pending | ConnectStatus::Connected => {
                    Refusal::Internal
                }
            },
        }
    }

    /// The more telling of two failures, the earlier one of equals: what a target said beats what
    /// an exit said beats what the mesh did.
    pub(super) fn or(self, later: Self) -> Self {
        if later.weight() > self.weight() {
            later
        } else {
            self
        }
    }

    fn weight(&self) -> u8 {
        match self {
            Self::NoRoute(_) => 0,
            Self::Mesh(_) | Self::Silent { .. } | Self::Stream { .. } => 1,
            Self::TimedOut(_) | Self::NotResolved(_) => 2,
            Self::NotFound(_) => 3,
            Self::Exit { status, .. } => match status {
                ConnectStatus::Draining => 1,
                ConnectStatus::Internal | ConnectStatus::Pending | ConnectStatus::Connected => 4,
                ConnectStatus::NetworkUnreachable => 5,
                ConnectStatus::HostUnreachable => 6,
                ConnectStatus::TimedOut => 7,
                ConnectStatus::NotAllowed => 8,
                ConnectStatus::NameNotFound => 9,
                ConnectStatus::Refused => 10,
            },
        }
    }

    pub(super) fn blame(&self) -> Blame {
        match self {
            Self::NoRoute(_) | Self::Stream { .. } => Blame::Way,
            Self::Mesh(error) => match error {
                OpenError::NoPath(_) | OpenError::Session { .. } => Blame::Way,
                OpenError::TimedOut { .. } | OpenError::Refused { .. } => Blame::Exit,
            },
            Self::Silent { .. } => Blame::Exit,
            Self::NotResolved(_) | Self::TimedOut(_) => Blame::Onward,
            Self::NotFound(_) => Blame::Target,
            Self::Exit { status, .. } => match status {
                ConnectStatus::Draining
                | ConnectStatus::Internal
                | ConnectStatus::Pending
                | ConnectStatus::Connected => Blame::Exit,
                ConnectStatus::NotAllowed
                | ConnectStatus::NetworkUnreachable
                | ConnectStatus::HostUnreachable
                | ConnectStatus::TimedOut => Blame::Onward,
                ConnectStatus::Refused | ConnectStatus::NameNotFound => Blame::Target,
            },
        }
    }
}

//! The seam between links and what carries them. Nothing of the link above it knows how packets travel.
//!
//! ```text
//! LinkEndpoint  one port: opens and accepts; makes the adjacency of a connection's data
//! Visitor       one who knocks: turned away, ignored, asked for proof of its address, or let in
//! OwnPort       a port for one dial that becomes no link
//! Connection    an authenticated neighbour: control halves, heartbeats that are dropped at a
//!               limit, identity, address, round trip, packet size, and how it ended
//! SendControl, RecvControl   bytes in order, for frames of control messages
//! End, OpenError, StreamError, Dropped   every answer, in words that no transport owns
//! ```
//!
//! Whoever carries a link promises this: a heartbeat waits behind no data, and never for room; control
//! arrives in order or the connection ends; an end has a code and a reason that the other side hears.

mod quic;

use crate::identity::Refusal;
use crate::text;

pub(super) use quic::{Connection, OwnPort, RecvControl, SendControl, Visitor};
pub use quic::{DataPlane, LinkEndpoint};

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum End {
    /// The neighbour closed it. Nothing of `reason` was judged: it may steer a terminal.
    #[error("closed by peer: {}", in_words(*code, reason))]
    Closed { code: u64, reason: String },
    /// Nothing was heard within the connection's own limit.
    #[error("timed out")]
    TimedOut,
    /// One side does not trust the other.
    #[error("{0}")]
    Refused(Refusal),
    /// Anything else, in words that the other side may have written.
    #[error("{0}")]
    Broken(String),
}

fn in_words(code: u64, reason: &str) -> String {
    match reason {
        "" => code.to_string(),
        reason => format!("{reason} (code {code})"),
    }
}

impl End {
    /// What to tell people: who refused whom and why, where that is what happened.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.to_string(),
            Self::Closed { .. } | Self::TimedOut | Self::Broken(_) => {
                text::reason(&self.to_string())
            }
        }
    }
}

/// Why a connection was not opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// Nothing was sent; the text says why.
    Setup(String),
    Ended(End),
}

/// Why a half of the control stream is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    /// The connection ended.
    #[error("connection lost")]
    Lost(End),
    /// The neighbour wants no more of it, or sends no more.
    #[error("{0}")]
    Broken(String),
}

/// There was no room for a heartbeat; it is not sent later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped;

//! Who sent a request.

use std::fmt;
use std::net::SocketAddr;

/// Told by the connection; an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Through the socket that only this agent's user and root can open.
    Operator,
    /// Over TCP.
    At(SocketAddr),
}

impl Caller {
    /// Whether it is on this host.
    pub(super) fn is_local(self) -> bool {
        match self {
            Self::Operator => true,
            Self::At(peer) => peer.ip().to_canonical().is_loopback(),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("the local socket"),
            Self::At(peer) => peer.fmt(f),
        }
    }
}

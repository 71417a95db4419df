//! What an ingress and an exit say on the streams of their end-to-end session.
//!
//! Each stream opens with one framed [`StreamRequest`] from the ingress. A connect is answered by
//! one framed [`ConnectReply`], after which an accepted stream carries the connection's raw bytes;
//! a resolve is answered by one framed [`ResolveReply`], or by one for each address family if the
//! ingress said which are of use, and the stream ends.
//!
//! A dial that takes longer is announced by a [`ConnectStatus::Pending`] reply first, so that an
//! ingress can tell a slow target from a dead exit and try another one.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use minicbor::{Decode, Encode};

use super::net::{addresses, optional_socket_addr, socket_addr};

/// Most bytes of the body of a message here: a name (253), 32 addresses (18 each) and a sentence
/// fit. An exit buffers no more than this for a stream that it did not accept yet.
pub const STREAM_MESSAGE_LIMIT: usize = 1_024;

/// The first message on a stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum StreamRequest {
    #[n(0)]
    Connect(#[n(0)] ConnectRequest),
    #[n(1)]
    Resolve(#[n(0)] ResolveRequest),
}

/// Asks the exit to dial.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ConnectRequest {
    #[n(0)]
    pub target: Target,
}

/// Where to dial.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Target {
    /// An address.
    #[n(0)]
    Address(#[cbor(n(0), with = "socket_addr")] SocketAddr),
    /// A name that the exit resolves (a domain route led here), and a port.
    #[n(1)]
    Domain(#[n(0)] String, #[n(1)] u16),
}

impl Target {
    pub fn port(&self) -> u16 {
        match self {
            Self::Address(address) => address.port(),
            Self::Domain(_, port) => *port,
        }
    }
}

/// `host:port` for people.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Domain(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// What became of a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ConnectStatus {
    #[n(0)]
    Connected,
    /// The exit itself failed.
    #[n(1)]
    Internal,
    /// The address is outside the exit's own routes.
    #[n(2)]
    NotAllowed,
    #[n(3)]
    NetworkUnreachable,
    /// Host unreachable.
    #[n(4)]
    HostUnreachable,
    #[n(5)]
    Refused,
    #[n(6)]
    TimedOut,
    /// The name does not exist or has no address.
    #[n(7)]
    NameNotFound,
    /// The exit is leaving: ask another.
    #[n(8)]
    Draining,
    /// Not the answer yet: the request arrived and the exit is still dialling.
    #[n(9)]
    Pending,
}

impl ConnectStatus {
    /// Every way a connect ends; `Pending` is only said on the way.
    pub const ENDS: [Self; 9] = [
        Self::Connected,
        Self::Internal,
        Self::NotAllowed,
        Self::NetworkUnreachable,
        Self::HostUnreachable,
        Self::Refused,
        Self::TimedOut,
        Self::NameNotFound,
        Self::Draining,
    ];
}

/// The exit's answer to a connect.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ConnectReply {
    #[n(0)]
    pub status: ConnectStatus,
    /// The exit's local address of the new connection, when connected.
    #[cbor(n(1), with = "optional_socket_addr")]
    pub bound: Option<SocketAddr>,
    /// For people; empty when connected.
    #[n(2)]
    pub detail: String,
}

/// Asks the exit to resolve a name.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ResolveRequest {
    /// Absolute with a trailing dot, else subject to the exit's search list.
    #[n(0)]
    pub name: String,
    /// Whose answers are worth waiting for: [`USEFUL_V4`] and [`USEFUL_V6`]. An ingress that says so
    /// takes the answer in parts; an exit that does not know the field answers in one.
    #[n(1)]
    pub useful: Option<u8>,
}

/// The ingress has routes to IPv4 addresses.
pub const USEFUL_V4: u8 = 1;

/// The ingress has routes to IPv6 addresses.
pub const USEFUL_V6: u8 = 2;

/// The exit's answer to a resolve. Empty and no error: the name has no address.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ResolveReply {
    #[cbor(n(0), with = "addresses")]
    pub addresses: Vec<IpAddr>,
    /// Why the resolver failed (not: found nothing); `None` when it answered.
    #[n(1)]
    pub error: Option<String>,
    /// Whether another reply follows, with the other family's addresses or with none.
    #[n(2)]
    pub more: Option<bool>,
}

#[cfg(test)]
mod tests;

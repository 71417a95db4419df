//! What a front end asks the ingress for, and what becomes of it, in no protocol's words.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::identity::AgentId;
use crate::limit::Share;
use crate::tunnel::ExitStream;
use crate::wire::Target;

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where its connection comes from.
    pub client: SocketAddr,
    /// Who it proved to be, if it was asked.
    pub user: Option<String>,
    /// Addresses in canonical form: IPv4-mapped ones are IPv4. Names are well-formed and lower case;
    /// one with a trailing dot is absolute.
    pub target: Target,
}

/// How a request ends.
pub(super) enum Outcome {
    Connected(Connected),
    Refused(Refusal),
    /// The client reset its connection meanwhile: nobody is there to be told.
    ClientGone,
}

/// A target that was reached.
pub(super) struct Connected {
    pub(super) link: Link,
    pub(super) exit: AgentId,
    /// The exit's address towards the target.
    pub(super) bound: Option<SocketAddr>,
}

/// How a client's bytes reach the target.
pub(super) enum Link {
    /// Through the mesh.
    Stream(ExitStream),
    /// From this agent, which is the exit, and the place there.
    Own(TcpStream, Share<AgentId>),
}

/// Why a request is refused, as coarsely as a client can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The exit or this agent failed.
    Internal,
    /// The exit may not go there.
    NotAllowed,
    /// No live route, or every way along it failed.
    NoRoute,
    /// The target's host, or its name's address, was not found.
    HostUnreachable,
    /// The target refused.
    Refused,
    /// Nobody answered in time.
    TimedOut,
}

impl Refusal {
    /// Its metrics label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::NotAllowed => "not_allowed",
            Self::NoRoute => "no_route",
            Self::HostUnreachable => "host_unreachable",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
        }
    }
}

//! HTTP: health for anyone, management for this host and for holders of the token.
//!
//! Only snapshots are read here; [`Agent`] is what the layer above implements. [`Server`] runs in
//! the task that calls [`Server::serve`] and owns one task per connection. Those may be aborted at
//! any time, because a request changes nothing.

mod agent;
mod dest;
mod error;
mod event;
mod exposition;
mod guard;
mod metrics;
mod origin;
mod router;
mod server;
#[cfg(test)]
pub(crate) mod testing;
mod token;
mod trace;
mod view;

pub use agent::{Agent, ExplainError};
pub use dest::{Dest, DestError};
pub use event::{EventKind, EventView, FailoverView, SideView};
pub use metrics::Metrics;
pub use server::{BindError, Server, Settings};
pub use trace::{HopView, RttView, SessionView, TraceView};
pub use view::{
    AgentView, CandidateView, ChosenView, Direction, EdgeView, ExplainView, Health, PeerState,
    PeerView, RouteKind, RouteView, Status, StreamView, TopologyView,
};

#[cfg(test)]
mod tests;

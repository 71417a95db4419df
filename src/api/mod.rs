//! HTTP: health for anyone, management for who is on this host or, once a token is set, holds it.
//!
//! Only snapshots are read here; [`Agent`] is what the layer above implements. [`Server`] runs in
//! the task that calls [`Server::serve`] and owns one task per connection. Those may be aborted at
//! any time: what a request asks for is done by the agent, whether somebody waits for it or not.

mod access;
mod advertise;
mod agent;
mod agent_check;
mod answer;
mod caller;
mod dest;
mod drain;
mod error;
mod event;
mod exposition;
mod guard;
mod metrics;
mod origin;
mod places;
mod reload;
mod router;
mod server;
mod settings;
mod socket;
#[cfg(test)]
pub(crate) mod testing;
mod token;
mod trace;
mod view;

pub use access::Access;
pub use advertise::{AdvertiseAnswer, AdvertiseStatus, RouteChange, RouteVerb};
pub use agent::{Agent, ExplainError, Refused};
pub use agent_check::serve_checks;
pub use answer::DrainAnswer;
pub use dest::{Dest, DestError};
pub use drain::{DrainStage, DrainView};
pub use event::EventView;
pub use metrics::Metrics;
pub use reload::{Refusal, ReloadAnswer, ReloadStatus};
pub use server::{API_SOCKET, Server, SocketError};
pub use settings::Settings;
pub use trace::{HopView, RttView, SessionView, TraceView};
pub use view::{
    AgentView, CandidateView, ChosenView, DepartedView, Direction, EdgeView, ExplainView, Health,
    MemberView, PeerState, PeerView, RouteKind, RouteView, Status, StreamView, TopologyView,
};

#[cfg(test)]
mod tests;

//! What the API needs from the agent behind it.

use super::{
    AdvertiseAnswer, Dest, DrainAnswer, EventView, ExplainView, Health, MemberView, PeerView,
    ReloadAnswer, RouteChange, RouteView, StreamView, TopologyView, TraceView,
};

/// A running agent as the API sees it.
///
/// Lists come in a stable order, so that two answers can be compared. Every method that is not
/// asynchronous, but for [`health`](Self::health) and those that say so, is called on a blocking thread, outside any async context, because a snapshot of a large mesh takes
/// milliseconds that packets would wait for.
pub trait Agent: Send + Sync + 'static {
    /// Called for every health check, on the async runtime: must be cheap.
    fn health(&self) -> Health;

    /// Percent of the agent that are free, if balancers are to hear of it. As cheap.
    fn weight(&self) -> Option<u8>;

    /// Configured peers and accepted links.
    fn peers(&self) -> Vec<PeerView>;

    /// Each prefix and domain with each of its usable exits.
    fn routes(&self) -> Vec<RouteView>;

    /// Connections under way, as ingress and as exit.
    fn streams(&self) -> Vec<StreamView>;

    /// Members that have a session with this agent's exit, by id.
    fn sessions(&self) -> Vec<MemberView>;

    /// Every agent and link known from advertisements.
    fn topology(&self) -> TopologyView;

    /// What happened after the event of that number, the newest last. All that is remembered, if
    /// no event has that number yet: it is of an earlier process.
    fn events(&self, since: u64) -> Vec<EventView>;

    /// Every candidate for `dest`. A name that no domain route covers is resolved through the mesh
    /// first. May be dropped before it is done.
    fn explain(
        &self,
        dest: &Dest,
    ) -> impl Future<Output = Result<ExplainView, ExplainError>> + Send;

    /// The ways to `dest`, measured. Finds the exit as [`explain`](Self::explain) does. May be
    /// dropped before it is done.
    fn trace(&self, dest: &Dest) -> impl Future<Output = Result<TraceView, ExplainError>> + Send;

    /// Begins to drain. The answer tells how far it has come.
    fn drain(&self) -> impl Future<Output = Result<DrainAnswer, Refused>> + Send;

    /// Takes a drain back.
    fn undrain(&self) -> impl Future<Output = Result<DrainAnswer, Refused>> + Send;

    /// Reads the configuration again and applies it.
    fn reload(&self) -> impl Future<Output = ReloadAnswer> + Send;

    /// The routes of this agent's exit. Called on the async runtime: must be cheap.
    fn advertised(&self) -> AdvertiseAnswer;

    /// Changes them, all that is asked for or nothing.
    fn advertise(&self, change: RouteChange) -> impl Future<Output = AdvertiseAnswer> + Send;

    /// All metrics as OpenMetrics text. What agents call themselves is told only with `names`.
    fn encode_metrics(&self, names: bool) -> String;
}

/// Why a change was not made, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Why a destination could not be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// No exit could answer for the name.
    #[error("cannot resolve `{name}` through the mesh: {reason}")]
    Resolve { name: String, reason: String },
    /// An exit was asked and did not answer in time.
    #[error("no exit resolved `{name}` in time; try again, or ask for an address")]
    TimedOut { name: String },
}

//! The seam between an ingress and the sessions that carry its streams.

use std::future::Future;
use std::time::Duration;

use super::notes::ExitStream;
use crate::identity::AgentId;

/// Why no stream to an exit could be opened. All of these are failures in the mesh: another path
/// or exit may do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    #[error("no live path to exit {0}")]
    NoPath(AgentId),
    #[error("exit {exit} did not answer the session handshake in time")]
    TimedOut { exit: AgentId },
    #[error("no session with exit {exit}: {reason}")]
    Refused { exit: AgentId, reason: String },
    #[error("session with exit {exit} failed: {source}")]
    Session {
        exit: AgentId,
        source: quinn::ConnectionError,
    },
}

/// Opens streams to exits, over a live session or a new one.
pub trait OpenStream: Send + Sync + 'static {
    /// Opens a stream to `exit`; waits for the session's handshake if there is no live session.
    fn open(&self, exit: AgentId) -> impl Future<Output = Result<ExitStream, OpenError>> + Send;

    /// The round trip to `exit`, as far as the mesh tells it; zero if it does not.
    fn round_trip(&self, _exit: AgentId) -> Duration {
        Duration::ZERO
    }

    /// Completes when no live path leads to `exit`, at once if none does now.
    fn lost(&self, exit: AgentId) -> impl Future<Output = ()> + Send;
}

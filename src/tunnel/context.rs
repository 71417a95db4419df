//! What every session of one agent shares.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, watch};

use super::path::Timing;
use super::sizes::Sizes;
use super::socket::prober::Prober;
use crate::config::Limits;
use crate::forward::Fib;
use crate::identity::AgentId;
use crate::record::SessionLog;
use crate::routing::{Avoid, Mesh};
use crate::wire::PathError;

/// Made once by [`Tunnel`](super::Tunnel), for both sides.
pub(crate) struct Context {
    pub(crate) fib: Arc<Fib>,
    pub(crate) limits: Limits,
    pub(crate) sizes: Sizes,
    pub(crate) view: watch::Receiver<Arc<Mesh>>,
    pub(crate) prober: Arc<Prober>,
    /// About our own packets.
    pub(crate) path_errors: broadcast::Sender<(AgentId, PathError)>,
    /// Takes what to keep away from, because a path failed end to end.
    pub(crate) failed_paths: mpsc::Sender<Avoid>,
    pub(crate) log: SessionLog,
    pub(crate) timing: Timing,
}

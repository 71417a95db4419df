//! What an agent can be asked for while it runs, and how far it has come with it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use super::added::{Added, RouteError};
use super::drain::Stage;
use super::lifecycle::Lifecycle;
use crate::api::RouteChange;
use crate::config::Config;

/// Requests that the operator has not come to yet.
const REQUESTS: usize = 16;

/// What the operator can be asked for.
pub(super) enum Request {
    /// Drain, and stay.
    Drain(oneshot::Sender<Result<(), Refused>>),
    /// Take that back.
    Undrain(oneshot::Sender<Result<(), Refused>>),
    /// Drain, and do nothing else any more.
    Stop,
    /// Read the file again, and apply it.
    Reload(oneshot::Sender<Reloaded>),
    /// Advertise other routes beside those of the file.
    Routes(RouteChange, oneshot::Sender<Result<(), RouteError>>),
    /// Leave the mesh at once, and say so.
    Leave(oneshot::Sender<()>),
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the agent is stopping, which cannot be taken back: start it again")]
    Stopping,
    #[error("the agent has just started: try again")]
    Starting,
    #[error("still draining, because it cannot serve as before: {0}")]
    NotReopened(String),
    #[error("the agent has ended")]
    Ended,
}

/// What became of a reload.
#[derive(Debug)]
pub(super) enum Reloaded {
    /// These keys differed, and count as the file has them now.
    Applied(Vec<String>),
    /// Nothing was changed: these keys cannot be while the agent runs, each for its reason.
    Refused(Vec<(String, &'static str)>),
    /// Nothing was changed, for reasons of a line each.
    Failed(Vec<String>),
}

/// A drain as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) stage: Stage,
    /// When what is left is reset; of a notice that has not ended: if it ended now.
    pub(super) deadline: Instant,
    /// Connections that were reset at the timeout.
    pub(super) cut: usize,
}

/// Where to ask, and where to look. Cloning shares it.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) life: Lifecycle,
    /// `None`: no drain is under way.
    pub(super) progress: watch::Sender<Option<Progress>>,
    /// What the agent goes by.
    pub(super) config: watch::Sender<Arc<Config>>,
    /// The routes in that which are not its file's.
    pub(super) added: watch::Sender<Arc<Added>>,
    requests: mpsc::Sender<Request>,
}

impl Desk {
    /// With the operator's end.
    pub(super) fn new(config: &Config, added: &Added) -> (Self, mpsc::Receiver<Request>) {
        let (requests, asked) = mpsc::channel(REQUESTS);
        let desk = Self {
            life: Lifecycle::new(),
            progress: watch::Sender::new(None),
            config: watch::Sender::new(Arc::new(config.clone())),
            added: watch::Sender::new(Arc::new(added.clone())),
            requests,
        };
        (desk, asked)
    }

    /// Drains, and stays; returns when it has begun.
    pub(super) async fn drain(&self) -> Result<(), Refused> {
        self.ask(Request::Drain).await
    }

    /// Takes a drain back.
    pub(super) async fn undrain(&self) -> Result<(), Refused> {
        self.ask(Request::Undrain).await
    }

    /// Reads the file again and applies it.
    pub(super) async fn reload(&self) -> Reloaded {
        let (done, outcome) = oneshot::channel();
        let ended = || Reloaded::Failed(vec![Refused::Ended.to_string()]);
        match self.requests.send(Request::Reload(done)).await {
            Ok(()) => outcome.await.unwrap_or_else(|_| ended()),
            Err(_) => ended(),
        }
    }

    /// The same, without waiting for what comes of it.
    pub(super) fn begin_reload(&self) {
        let (done, _) = oneshot::channel();
        if self.requests.try_send(Request::Reload(done)).is_err() {
            warn!("not reloaded: too many requests wait already");
        }
    }

    /// Changes the routes beside those of the file.
    pub(super) async fn change_routes(&self, change: RouteChange) -> Result<(), RouteError> {
        let (done, outcome) = oneshot::channel();
        let sent = self.requests.send(Request::Routes(change, done)).await;
        sent.map_err(|_| RouteError::Ended)?;
        outcome.await.unwrap_or(Err(RouteError::Ended))
    }

    /// Drains for good; returns when nothing is left.
    pub(super) async fn stop(&self) {
        let mut progress = self.progress.subscribe();
        if self.requests.send(Request::Stop).await.is_ok() {
            let is_over = |seen: &Option<Progress>| {
                seen.is_some_and(|progress| progress.stage == Stage::Drained)
            };
            // An error means that there is no operator any more.
            let _ = progress.wait_for(is_over).await;
        }
    }

    /// Leaves the mesh at once; returns when that is done.
    pub(super) async fn leave(&self) {
        let (done, left) = oneshot::channel();
        if self.requests.send(Request::Leave(done)).await.is_ok() {
            let _ = left.await;
        }
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), Refused>>) -> Request,
    ) -> Result<(), Refused> {
        let (done, outcome) = oneshot::channel();
        let sent = self.requests.send(request(done)).await;
        sent.map_err(|_| Refused::Ended)?;
        outcome.await.unwrap_or(Err(Refused::Ended))
    }
}

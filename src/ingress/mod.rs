//! The ingress: takes SOCKS5 clients, picks an exit for what they ask, and relays.
//!
//! It fails closed. What no live exit reaches is refused; there is no direct connection and no
//! name query of its own.
//!
//! Tasks: [`Ingress::run`] accepts, and spawns one task per client that ends with the client's
//! connection. The accept loop may be aborted at any time, or closed so that who has come is served
//! (drain, a changed address); the clients' tasks live on.

mod accept;
mod attempts;
mod balanced;
mod connect;
mod error;
mod exchange;
mod metrics;
mod outcome;
mod patience;
mod resolve;
mod routes;
mod serve;
mod settings;
mod socks5;
mod target;
mod waiting;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::clock::Allowance;
use crate::config;
use crate::exit::Exit;
use crate::identity::{AgentId, Checks, Member};
use crate::limit::{CLIENTS, MEMBERS, Network, Shares, Told};
use crate::record::StreamTable;
use crate::task::Cut;
use crate::tunnel::OpenStream;
use settings::Settings;
use waiting::Waiting;

pub use balanced::{Error as BalancerError, client as behind_balancer};
pub use error::ConnectError;
pub use metrics::Metrics;
pub use outcome::{Refusal, Request};
pub use patience::Patience;
pub use routes::{MeshRoutes, Routes, Wanted};
pub use socks5::{HandshakeError, handshake};

/// This agent's own exit, for clients whose best exit is the agent they are connected to.
#[derive(Clone, Debug)]
pub struct OwnExit {
    /// Who the agent is to its exit, as others are by their handshakes.
    pub member: watch::Receiver<Arc<Member>>,
    pub exit: Arc<Exit>,
}

impl OwnExit {
    fn id(&self) -> AgentId {
        self.member.borrow().id
    }
}

/// An ingress in operation.
pub struct Ingress<T, R> {
    settings: watch::Sender<Arc<Settings>>,
    /// Where passwords take their turn.
    checks: Arc<Checks>,
    /// For clients in whatever state.
    places: Arc<Shares<Network>>,
    /// For those that have not said what they want.
    handshakes: Arc<Shares<Network>>,
    opener: T,
    routes: R,
    own: Option<OwnExit>,
    streams: Arc<StreamTable>,
    patience: Patience,
    /// For requests that wait for a route.
    waiting_places: Semaphore,
    handshake_timeout: Duration,
    /// Lines about PROXY headers: of balancers that send bad ones, and of others that send any.
    bad_headers: Told,
    /// Guards the clients.
    cut: Cut,
    metrics: Metrics,
}

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// An ingress by the configuration's `socks5` section. Passwords take their turn in `checks`;
    /// its streams are listed in `streams`.
    pub fn new(
        config: &config::Socks5,
        limits: &config::Limits,
        checks: Arc<Checks>,
        opener: T,
        routes: R,
        own: Option<OwnExit>,
        streams: Arc<StreamTable>,
    ) -> Self {
        Self {
            settings: watch::Sender::new(Arc::new(Settings::new(config, &checks))),
            checks,
            places: Shares::new(config.max_connections, CLIENTS),
            handshakes: Shares::new(limits.socks_handshakes, MEMBERS),
            opener,
            routes,
            own,
            streams,
            patience: Patience::default(),
            waiting_places: Semaphore::new(limits.waiting_requests),
            handshake_timeout: limits.socks_handshake_timeout,
            bad_headers: Told::default(),
            cut: Cut::default(),
            metrics: Metrics::default(),
        }
    }

    /// Waits other times than the defaults.
    #[must_use]
    #[cfg(test)]
    pub(crate) fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Goes by `config` from now on, but for its address. Clients that are connected stay.
    pub fn apply(&self, config: &config::Socks5) {
        let settings = self.settings().replaced(config, &self.checks);
        self.settings.send_replace(Arc::new(settings));
        self.places.resize(config.max_connections);
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// This ingress's counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Resets the connections that are open now.
    pub fn cut(&self) {
        self.cut.cut();
    }

    /// Clients that are connected, in whatever state.
    pub fn connections(&self) -> usize {
        self.places.taken()
    }

    /// The addresses of `name`, as a client's request would resolve it now, without waiting for a
    /// route: by exits, through the mesh.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ConnectError> {
        let mut waiting = self.waiting(Duration::ZERO);
        let resolved = self.resolve_patiently(name, &mut waiting).await?;
        let mut resolved = resolved.ok_or_else(|| ConnectError::NoRoute(name.to_owned()))?;
        let late = resolved.late(self.patience.last).await;
        resolved.addresses.extend(late.into_iter().flatten());
        Ok(resolved.addresses)
    }

    fn waiting(&self, time: Duration) -> Waiting<'_> {
        Waiting::new(Allowance::new(time), &self.waiting_places, &self.metrics)
    }
}

#[cfg(test)]
mod tests;

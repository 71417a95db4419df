//! The exit: dials targets for streams that ingresses open, and resolves names for them.
//!
//! It reaches only what it advertises: every address is checked against its own routes after
//! resolving, so that no name leads into the exit's own surroundings.
//!
//! Tasks: one per stream, spawned by [`Exit::serve_connection`], and one for the health checks,
//! [`Exit::check_health`]. A stream's ends with its connection or its session, the health
//! checks' with the agent; none holds state worth saving, so all may be aborted.

mod acl;
mod connect;
mod dial;
mod dns;
mod found;
mod health;
mod metrics;
mod own;
mod serve;
mod sessions;
mod settings;
mod special;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::config;
use crate::identity::{AgentId, Credential, Member};
use crate::limit::{MEMBERS, Share, Shares};
use crate::record::{Journal, StreamTable};
use crate::task::Cut;
use sessions::Sessions;

pub use acl::Acl;
pub use connect::{ConnectError, Dialled};
pub use dial::DialError;
pub use dns::{ResolveError, Resolving, resolver};
pub use health::HealthChecks;
pub use metrics::Metrics;
pub use own::OwnListeners;
pub use settings::{Settings, first_routes};
pub use special::{SPECIAL, Special};

/// An exit in operation.
#[derive(Debug)]
pub struct Exit {
    settings: watch::Sender<Arc<Settings>>,
    streams: Arc<StreamTable>,
    sessions: Sessions,
    /// Bytes that one session holds unread at most.
    session_window: u64,
    /// Streams that one session may have open.
    streams_per_session: u32,
    /// A place per stream that is no name query, shared by the ingresses.
    places: Arc<Shares<AgentId>>,
    /// A place per name under way, likewise; without one a query is refused, not queued.
    dns_queries: Arc<Shares<AgentId>>,
    /// How long a stream may take to say what it wants.
    request_timeout: Duration,
    draining: AtomicBool,
    /// Guards the streams.
    cut: Cut,
    metrics: Metrics,
}

impl Exit {
    /// An exit by the configuration's `exit` section, of an agent with listeners of its `own`. Its
    /// streams are listed in `streams`, changes of its health checks entered in `journal`.
    pub fn new(
        config: &config::Exit,
        limits: &config::Limits,
        own: OwnListeners,
        streams: Arc<StreamTable>,
        journal: Journal,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings: watch::Sender::new(Arc::new(Settings::new(config, own, journal))),
            streams,
            sessions: Sessions::default(),
            session_window: limits.session_window as u64,
            streams_per_session: limits.streams_per_session,
            places: Shares::new(limits.exit_connections, MEMBERS),
            dns_queries: Shares::new(limits.dns_queries, MEMBERS),
            request_timeout: limits.handshake_timeout,
            draining: AtomicBool::new(false),
            cut: Cut::default(),
            metrics: Metrics::default(),
        })
    }

    /// From now on refuses new work with `Draining`, or not any more; open connections live on.
    pub fn drain(&self, on: bool) {
        self.draining.store(on, Ordering::Relaxed);
    }

    /// Connections for ingresses, in whatever state.
    pub fn connections(&self) -> usize {
        self.places.taken()
    }

    /// Bytes that were sent and that the ingresses have not delivered yet.
    pub fn undelivered(&self) -> u64 {
        self.sessions.undelivered()
    }

    /// Resets the connections that are open now.
    pub fn cut(&self) {
        self.cut.cut();
    }

    /// Ends every session for whose certificate `judge` has a reason, with the connections in it.
    pub fn end_sessions_where(&self, judge: impl Fn(&Credential) -> Option<String>) {
        self.sessions.end_where(judge);
    }

    /// A place for a connection of `ingress`; `None`: it has its share.
    pub fn place(&self, ingress: AgentId) -> Option<Share<AgentId>> {
        self.places.take(ingress)
    }

    /// Adds this exit's counters. With `names`, those of its health checks are by their names.
    pub fn register(&self, names: bool, registry: &mut Registry) {
        self.metrics.register(registry);
        self.settings().health().register(names, registry);
    }

    /// The ingresses of sessions whose streams get less than they could use, because others hold so
    /// much that nobody reads.
    pub fn short_of_windows(&self) -> Vec<AgentId> {
        self.sessions.short_of_windows()
    }

    /// The members that have a session with this exit, by id, and since when.
    pub fn members(&self) -> Vec<(Arc<Member>, Instant)> {
        self.sessions.members()
    }

    /// Goes by `config` from now on; the agent's own listeners are `own`. Open connections live on, also
    /// those that would not be made any more.
    pub fn apply(&self, config: &config::Exit, own: OwnListeners) {
        let settings = self.settings().replaced(config, own);
        self.settings.send_replace(Arc::new(settings));
    }

    /// What it goes by now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }

    /// Follows what it goes by.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// Runs the health checks for ever.
    pub async fn check_health(&self) {
        let mut settings = self.subscribe();
        loop {
            let current = settings.borrow_and_update().clone();
            tokio::select! {
                () = current.check_health() => {}
                changed = settings.changed() => if changed.is_err() { return },
            }
        }
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

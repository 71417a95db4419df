//! Starts an agent, and ends it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::info;

use super::bind::Sockets;
use super::control::Command;
use super::descriptors;
use super::error::StartError;
use super::memory;
use super::operator::Operator;
use super::parts::Parts;
use super::reload::Source;
use super::request::Desk;
use super::service::{Ends, Services};
use super::setup::Shared;
use super::supervise::Supervision;
use super::watch::watch;
use crate::clock;
use crate::config::{self, Config};
use crate::task::{Running, TaskFailed, Vital};
use crate::tunnel::AcceptedSession;

/// What a drain and goodbyes take beside what the file allows, on a host that does a lot else.
const LEAVING: Duration = Duration::from_secs(10);

/// A running agent. Dropping it aborts its own tasks; detached ones (drivers of accepted links,
/// steering, following, streams, clients) end with their connections or with the runtime.
pub struct Agent {
    listeners: Vec<SocketAddr>,
    socks5: Option<SocketAddr>,
    http: Option<SocketAddr>,
    pub(super) shared: Shared,
    desk: Desk,
    commands: mpsc::Sender<Command>,
    tasks: Vital,
    _watching: Option<Running>,
    _supervised: Option<Running>,
}

impl Agent {
    /// Binds everything, starts everything, and returns; links form afterwards.
    pub async fn start(mut parts: Parts) -> Result<Self, StartError> {
        let loaded = parts.config.clone();
        parts.config = parts.added.in_force(&loaded);
        descriptors::fit(&mut parts.config);
        memory::fit(&mut parts.config);
        // Bind first: a busy port is the commonest mistake, and nothing has been said yet.
        let sockets = Sockets::bind(&parts).await?;
        Self::start_on(&parts, loaded, sockets, None)
    }

    /// Starts everything on bound ports. The file had `loaded`. `accepted` takes the sessions of an exit in its stead.
    pub(super) fn start_on(
        parts: &Parts,
        loaded: Config,
        sockets: Sockets,
        accepted: Option<mpsc::Sender<AcceptedSession>>,
    ) -> Result<Self, StartError> {
        let mut tasks = Vital::default();
        let (shared, ends) = Shared::new(parts, &mut tasks)?;
        let (desk, requests) = Desk::new(&parts.config, &parts.added);
        let ends = Ends {
            control: ends,
            accepted,
            desk: desk.clone(),
        };
        let services = Services::start(parts, sockets, &shared, ends, tasks.starter())?;
        let listeners = services.listeners().to_vec();
        let (socks5, http) = (services.socks5(), services.http());
        let commands = services.commands().clone();
        let operator = Operator {
            services,
            shared: shared.clone(),
            desk: desk.clone(),
            requests,
            source: Source {
                file: parts.file.clone(),
                identity: parts.identity.clone(),
                loaded,
                trust: parts.trust.clone(),
            },
            drain: None,
            notifier: parts.notifier.clone(),
        };
        tasks.spawn("operator", operator.run());
        let watching = parts.file.clone().map(|file| {
            let starter = tasks.starter();
            starter.start_ending("watch", watch(file, desk.clone()))
        });
        info!(
            id = %parts.id(),
            name = %parts.display_name(),
            version = env!("CARGO_PKG_VERSION"),
            ?listeners,
            ?socks5,
            ?http,
            "agent started"
        );
        Ok(Self {
            listeners,
            socks5,
            http,
            shared,
            desk,
            commands,
            tasks,
            _watching: watching,
            _supervised: None,
        })
    }

    /// Tells whoever supervises this process how the agent is, for as long as it runs.
    pub(super) fn supervise(&mut self, supervision: Supervision) {
        let (shared, desk) = (self.shared.clone(), self.desk.clone());
        let run = supervision.run(shared, desk, self.commands.clone());
        let starter = self.tasks.starter();
        self._supervised = Some(starter.start_ending("supervise", run));
    }

    /// What its end may take, if it drains before.
    pub(super) fn longest_end(&self) -> Duration {
        let config::Drain { timeout, notice } = self.desk.config.borrow().drain;
        notice + timeout + LEAVING
    }

    /// Waits until the agent has lost a task that it cannot be without; then it must be dropped.
    /// Cancel safe.
    pub async fn failed(&mut self) -> TaskFailed {
        self.tasks.failed().await
    }

    /// Drains as the file says: takes nothing new, lets what is open end, and returns when nothing is
    /// left. There is no way back. Cancel safe: the drain goes on.
    pub fn drain(&self) -> impl Future<Output = ()> + use<> {
        let desk = self.desk.clone();
        async move { desk.stop().await }
    }

    /// Has the file read again and applied; what comes of it is in the log.
    pub fn reload(&self) {
        self.desk.begin_reload();
    }

    /// Leaves the mesh: withdraws its advertisements, says goodbye to the neighbours so that
    /// traffic moves at once, and ends. Takes at most 1.5 s.
    pub async fn shutdown(self) {
        let started = clock::now();
        self.desk.leave().await;
        info!(took = ?clock::since(started), "agent stopped");
    }

    /// Where neighbours may dial us.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// Where SOCKS5 is served.
    pub fn socks5(&self) -> Option<SocketAddr> {
        self.socks5
    }

    /// Where HTTP is served.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }
}

#[cfg(test)]
impl Agent {
    /// Starts a vital task with a defect.
    pub(super) fn start_broken_task(&mut self) {
        self.tasks
            .spawn("broken", async { panic!("as the test wants it") });
    }
}

#[cfg(test)]
mod tests;

//! Starts an agent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::info;

use super::bind::Sockets;
use super::control::{Command, Control};
use super::descriptors;
use super::distrust::Distrust;
use super::error::StartError;
use super::parts::Parts;
use super::prefixes::PrefixBuilder;
use super::revoke_file::RevokeFile;
use super::setup::{ControlEnds, Shared, core, link_context};
use super::status::{MeshIngress, Status};
use super::{health, links};
use crate::api::{self, Server};
use crate::clock::{self, unix_now};
use crate::exit::{Exit, OwnListeners};
use crate::identity::Member;
use crate::ingress::{Ingress, MeshRoutes, OwnExit};
use crate::link::{LinkEndpoint, LinkEvent};
use crate::routing::Balancer;
use crate::task::{self, Served, TaskFailed, Vital};
use crate::tunnel::AcceptedSession;

/// Link events that the control task has not looked at yet; drivers wait when it is full.
const EVENTS: usize = 1_024;

/// Requests to the control task.
const COMMANDS: usize = 16;

/// A running agent. Dropping it aborts its own tasks; detached ones (drivers of accepted links,
/// steering, following, streams, clients) end with their connections or with the runtime.
pub struct Agent {
    listeners: Vec<SocketAddr>,
    socks5: Option<SocketAddr>,
    http: Option<SocketAddr>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) endpoints: Vec<LinkEndpoint>,
    pub(super) shared: Shared,
    tasks: Vital,
}

impl Agent {
    /// Binds everything, starts everything, and returns; links form afterwards.
    pub async fn start(mut parts: Parts) -> Result<Self, StartError> {
        descriptors::fit(&mut parts.config);
        // Bind first: a busy port is the commonest mistake, and nothing has been said yet.
        let sockets = Sockets::bind(&parts).await?;
        Self::start_on(parts, sockets, None)
    }

    /// Starts everything on bound ports. `accepted` takes the sessions of an exit in its stead.
    pub(super) fn start_on(
        parts: Parts,
        sockets: Sockets,
        accepted: Option<mpsc::Sender<AcceptedSession>>,
    ) -> Result<Self, StartError> {
        let mut tasks = Vital::default();
        let listeners = links::listening(&sockets.links);
        let socks5 = sockets.socks5.as_ref().and_then(|s| s.local_addr().ok());
        let http = sockets.http.as_ref().map(Server::local_addr);

        let (shared, ends) = Shared::new(&parts, &mut tasks)?;
        let (events, commands) = start_control(&parts, &shared, ends, &mut tasks);
        let endpoints = links::start(
            &parts,
            sockets.links,
            &Arc::new(link_context(&parts, &shared, events)),
            &shared.fib,
            &shared.tunnel.local,
            &mut tasks,
        )?;
        let own = OwnListeners::new(listeners.iter().copied().chain(socks5).chain(http));
        let exit = start_exit(&parts, &shared, own, &commands, accepted, &mut tasks);
        let distrust = Distrust {
            trust: parts.trust.clone(),
            listed: parts.config.revoke.clone(),
            file: parts.config.revoke_file.clone().map(RevokeFile::new),
            links: shared.links.clone(),
            sessions: shared.tunnel.sessions.clone(),
            exit: exit.clone(),
            commands: commands.clone(),
        };
        tasks.spawn("distrust", distrust.run());
        let ingress = sockets
            .socks5
            .and_then(|listener| start_ingress(&parts, &shared, &exit, listener, &mut tasks));
        if let Some(server) = sockets.http {
            start_http(&parts, &shared, server, ingress, exit, &mut tasks);
        }
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
            commands,
            endpoints,
            shared,
            tasks,
        })
    }

    /// Waits until the agent has lost a task that it cannot be without; then it must be dropped.
    /// Cancel safe.
    pub async fn failed(&mut self) -> TaskFailed {
        self.tasks.failed().await
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

fn start_control(
    parts: &Parts,
    shared: &Shared,
    ends: ControlEnds,
    tasks: &mut Vital,
) -> (mpsc::Sender<LinkEvent>, mpsc::Sender<Command>) {
    let config = &parts.config;
    let (event_sender, events) = mpsc::channel(EVENTS);
    let (command_sender, commands) = mpsc::channel(COMMANDS);
    let control = Control {
        own: parts.id(),
        core: core(parts),
        links: shared.links.clone(),
        standstill: shared.standstill.clone(),
        fib: shared.fib.clone(),
        max_hops: config.routing.max_hops,
        events,
        log: shared.events.clone(),
        reports: ends.reports,
        commands,
        path_errors: shared.tunnel.path_errors.clone(),
        mesh: ends.mesh,
        counters: shared.counters.clone(),
        lately: config.socks5.as_ref().map(|_| shared.lately.clone()),
        data_dir: parts.keeps_epoch.then(|| config.agent.data_dir.clone()),
        load: config.exit.as_ref().map(|_| shared.streams.clone()),
        suspects: Default::default(),
        failed_paths: ends.failed_paths,
        shunned: Default::default(),
        topology_changed: true,
        prefixes: PrefixBuilder::new(clock::now()),
    };
    tasks.spawn("standstill", shared.standstill.clone().watch());
    tasks.spawn("control", control.run());
    (event_sender, command_sender)
}

fn start_exit(
    parts: &Parts,
    shared: &Shared,
    own: OwnListeners,
    commands: &mpsc::Sender<Command>,
    accepted: Option<mpsc::Sender<AcceptedSession>>,
    tasks: &mut Vital,
) -> Option<Arc<Exit>> {
    let config = parts.config.exit.as_ref()?;
    let exit = Exit::new(
        config,
        &parts.config.limits,
        own,
        shared.streams.clone(),
        shared.events.journal.clone(),
    );
    if !config.health_checks.is_empty() {
        let guard = health::guard(exit.clone(), config.clone(), commands.clone());
        tasks.spawn("health checks", guard);
    }
    if let Some(listener) = &shared.tunnel.listener {
        let sessions = listener.clone().accept();
        match accepted {
            Some(accepted) => tasks.spawn("accept sessions", hand_over(sessions, accepted)),
            None => tasks.spawn("accept sessions", serve_sessions(exit.clone(), sessions)),
        }
    }
    Some(exit)
}

async fn serve_sessions(exit: Arc<Exit>, mut sessions: mpsc::Receiver<AcceptedSession>) {
    while let Some(session) = sessions.recv().await {
        let exit = exit.clone();
        task::serve(
            Served::Session,
            exit.serve_connection(session.connection, session.ingress),
        );
    }
}

async fn hand_over(
    mut sessions: mpsc::Receiver<AcceptedSession>,
    accepted: mpsc::Sender<AcceptedSession>,
) {
    while let Some(session) = sessions.recv().await {
        if accepted.send(session).await.is_err() {
            return;
        }
    }
}

fn start_ingress(
    parts: &Parts,
    shared: &Shared,
    exit: &Option<Arc<Exit>>,
    listener: TcpListener,
    tasks: &mut Vital,
) -> Option<Arc<MeshIngress>> {
    let config = &parts.config;
    let socks5 = config.socks5.as_ref()?;
    let sessions = shared.tunnel.sessions.clone()?;
    let routes = MeshRoutes {
        mesh: shared.mesh.clone(),
        balancer: Mutex::new(Balancer::new(config.routing.balance)),
        streams: shared.streams.clone(),
        lately: shared.lately.clone(),
        resolvers: socks5.resolvers.clone(),
    };
    let member = Member::new(parts.identity.parsed(), &parts.trust, unix_now());
    let member = Arc::new(member);
    let ingress = Arc::new(Ingress::new(
        socks5,
        &config.limits,
        shared.checks.clone(),
        sessions,
        routes,
        exit.clone().map(|exit| OwnExit { member, exit }),
        shared.streams.clone(),
    ));
    tasks.spawn("accept clients", ingress.clone().run(listener));
    Some(ingress)
}

fn start_http(
    parts: &Parts,
    shared: &Shared,
    server: Server,
    ingress: Option<Arc<MeshIngress>>,
    exit: Option<Arc<Exit>>,
    tasks: &mut Vital,
) {
    let config = &parts.config;
    let metrics = api::Metrics::default();
    let settings = api::Settings::new(config, shared.checks.clone(), metrics.clone());
    let status = Status {
        id: parts.id(),
        display_name: parts.display_name(),
        started: clock::now(),
        not_after: parts.identity.not_after(),
        balance: config.routing.balance,
        peer_costs: config.peers.iter().map(|p| (p.id, p.cost)).collect(),
        shared: shared.clone(),
        ingress,
        exit,
    };
    let status = Arc::new(status.with_registry(&metrics));
    let served = server.serve(status, settings, std::future::pending());
    tasks.spawn("HTTP", served);
}

#[cfg(test)]
mod tests;

//! Puts the sides of the tunnel together and runs their tasks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use super::accept::{self, SessionListener};
use super::echo::{Echoer, INBOX};
use super::endpoint::SessionSettings;
use super::failover::Failovers;
use super::journal::Numbers;
use super::metrics::Metrics;
use super::outlet::Outlets;
use super::prober::Prober;
use super::session_log::SessionLog;
use super::sessions::{MeshView, Parts, SessionCrypto, Sessions};
use super::timing::Timing;
use super::virtual_socket::VirtualSocket;
use crate::config::Limits;
use crate::forward::{Fib, Inbox, Local};
use crate::identity::AgentId;
use crate::routing::Avoid;
use crate::wire::PathError;
use crate::wire::packet::PacketType;

/// Path errors that a session's task has not looked at yet.
const PATH_ERRORS: usize = 64;

/// What a tunnel needs.
pub struct TunnelSetup<V> {
    pub fib: Arc<Fib>,
    pub limits: Limits,
    /// Heartbeat interval of this agent's links: what the times of a doubt follow.
    pub heartbeat: Duration,
    pub view: watch::Receiver<Arc<V>>,
    /// Takes what paths should keep away from for a while, because one failed end to end.
    pub failed_paths: mpsc::Sender<Avoid>,
    /// Present: this agent opens sessions.
    pub ingress: Option<Box<SessionCrypto>>,
    /// Present: this agent accepts sessions.
    pub exit: Option<(Arc<QuicServerConfig>, SessionSettings)>,
}

/// The tunnel room of one agent.
pub struct Tunnel<V> {
    /// Where the receive loops put what is for us.
    pub local: Local,
    pub sessions: Option<Arc<Sessions<V>>>,
    pub listener: Option<Arc<SessionListener<V>>>,
    /// Path errors about our own packets go in here.
    pub path_errors: broadcast::Sender<(AgentId, PathError)>,
    pub metrics: Metrics,
    pub failovers: Failovers,
    pub log: SessionLog,
    /// Measures round trips to any agent, and answers those of others.
    pub echoer: Arc<Echoer>,
    /// What the numbers of failovers are drawn from.
    pub numbers: Numbers,
    /// Flushers, the prober and the echoer; dropping ends them.
    _tasks: JoinSet<()>,
}

impl<V: MeshView> Tunnel<V> {
    /// Makes the sockets and endpoints and starts their tasks.
    pub fn start(setup: TunnelSetup<V>) -> io::Result<Self> {
        let mut tasks = JoinSet::new();
        let metrics = Metrics::default();
        let numbers = Numbers::default();
        let failovers = Failovers::new(metrics.clone(), &numbers);
        let log = SessionLog::new(metrics.clone(), &numbers);
        let timing = Timing::new(setup.heartbeat);
        let inbox = || Arc::new(Inbox::new(setup.limits.receive_queue));
        let (path_errors, _) = broadcast::channel(PATH_ERRORS);
        let prober = Prober::new(setup.fib.clone());
        let probes = inbox();
        tasks.spawn(prober.clone().receive(probes.clone()));
        let echoer = Echoer::new(setup.fib.clone());
        let echoes = Arc::new(Inbox::new(INBOX));
        tasks.spawn(echoer.clone().receive(echoes.clone()));
        let mut local = Local {
            probes: Some(probes),
            echoes: Some(echoes),
            ..Local::default()
        };

        let mut side = |kind, inbox: &Arc<Inbox>, provisional| {
            let outlets = Arc::new(Outlets::new(provisional, timing));
            let socket =
                VirtualSocket::new(kind, setup.fib.clone(), inbox.clone(), outlets.clone());
            tasks.spawn(socket.clone().flush_task());
            (socket, outlets)
        };
        let mut sessions = None;
        if let Some(crypto) = setup.ingress {
            let inbox = inbox();
            let (socket, outlets) = side(PacketType::ToExit, &inbox, 0);
            local.ingress = Some(inbox);
            sessions = Some(Sessions::new(Parts {
                fib: setup.fib.clone(),
                socket,
                outlets,
                prober: prober.clone(),
                view: setup.view.clone(),
                path_errors: path_errors.clone(),
                crypto,
                handshake_timeout: setup.limits.handshake_timeout,
                log: log.clone(),
                failovers: failovers.clone(),
                failed_paths: setup.failed_paths,
                timing,
            })?);
        }
        let mut listener = None;
        if let Some((crypto, settings)) = setup.exit {
            let inbox = inbox();
            let (socket, outlets) = side(
                PacketType::ToIngress,
                &inbox,
                setup.limits.provisional_paths,
            );
            local.exit = Some(inbox);
            let parts = accept::Parts {
                fib: setup.fib,
                socket,
                outlets,
                prober,
                view: setup.view,
                crypto,
                limits: setup.limits,
                log: log.clone(),
                failovers: failovers.clone(),
                timing,
            };
            listener = Some(Arc::new(SessionListener::new(parts, settings)?));
        }
        Ok(Self {
            local,
            sessions,
            listener,
            path_errors,
            metrics,
            failovers,
            log,
            echoer,
            numbers,
            _tasks: tasks,
        })
    }
}

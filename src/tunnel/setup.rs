//! Puts the sides of the tunnel together and runs their tasks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use tokio::sync::{broadcast, mpsc, watch};

use super::failover::Failovers;
use super::journal::Numbers;
use super::metrics::Metrics;
use crate::config::Limits;
use crate::forward::{Fib, Inbox, Local};
use crate::identity::{AgentId, Trust};
use crate::routing::Avoid;
use crate::task::Vital;
use crate::tunnel::path::timing::Timing;
use crate::tunnel::session::accept::{self, SessionListener};
use crate::tunnel::session::endpoint::SessionSettings;
use crate::tunnel::session::log::SessionLog;
use crate::tunnel::session::open::{MeshView, Parts, SessionCrypto, Sessions};
use crate::tunnel::socket::echo::{Echoer, INBOX};
use crate::tunnel::socket::outlet::Outlets;
use crate::tunnel::socket::prober::Prober;
use crate::tunnel::socket::virtual_socket::VirtualSocket;
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
    pub exit: Option<Accepting>,
}

/// What accepting sessions takes.
pub struct Accepting {
    pub crypto: Arc<QuicServerConfig>,
    /// The trust that `crypto` judges by.
    pub trust: Arc<Trust>,
    pub settings: SessionSettings,
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
}

/// What both sides of the tunnel are made with.
struct Common<V> {
    fib: Arc<Fib>,
    limits: Limits,
    view: watch::Receiver<Arc<V>>,
    prober: Arc<Prober>,
    path_errors: broadcast::Sender<(AgentId, PathError)>,
    failovers: Failovers,
    log: SessionLog,
    timing: Timing,
}

/// What one side's endpoint sends and receives through.
struct Wiring {
    inbox: Arc<Inbox>,
    socket: Arc<VirtualSocket>,
    outlets: Arc<Outlets>,
}

impl<V: MeshView> Tunnel<V> {
    /// Makes the sockets and endpoints and starts their tasks: flushers, the prober, the echoer.
    pub fn start(setup: TunnelSetup<V>, tasks: &mut Vital) -> io::Result<Self> {
        let (metrics, numbers) = (Metrics::default(), Numbers::default());
        let common = Common {
            prober: Prober::new(setup.fib.clone()),
            fib: setup.fib,
            limits: setup.limits,
            view: setup.view,
            path_errors: broadcast::channel(PATH_ERRORS).0,
            failovers: Failovers::new(metrics.clone(), &numbers),
            log: SessionLog::new(metrics.clone(), &numbers),
            timing: Timing::new(setup.heartbeat),
        };
        let probes = common.inbox();
        tasks.spawn("prober", common.prober.clone().receive(probes.clone()));
        let echoer = Echoer::new(common.fib.clone());
        let echoes = Arc::new(Inbox::new(INBOX));
        tasks.spawn("echoer", echoer.clone().receive(echoes.clone()));
        let mut local = Local {
            probes: Some(probes),
            echoes: Some(echoes),
            ..Local::default()
        };
        let mut sessions = None;
        if let Some(crypto) = setup.ingress {
            let wiring = common.wire(PacketType::ToExit, 0, tasks);
            local.ingress = Some(wiring.inbox.clone());
            sessions = Some(common.sessions(wiring, crypto, setup.failed_paths)?);
        }
        let mut listener = None;
        if let Some(accepting) = setup.exit {
            let provisional = common.limits.provisional_paths;
            let wiring = common.wire(PacketType::ToIngress, provisional, tasks);
            local.exit = Some(wiring.inbox.clone());
            listener = Some(common.listener(wiring, accepting)?);
        }
        Ok(Self {
            local,
            sessions,
            listener,
            path_errors: common.path_errors,
            metrics,
            failovers: common.failovers,
            log: common.log,
            echoer,
            numbers,
        })
    }
}

impl<V: MeshView> Common<V> {
    fn inbox(&self) -> Arc<Inbox> {
        Arc::new(Inbox::new(self.limits.receive_queue))
    }

    /// Makes the socket of one side and starts its flusher. `provisional`: so many destinations may
    /// have unproven ways only.
    fn wire(&self, kind: PacketType, provisional: usize, tasks: &mut Vital) -> Wiring {
        let (fib, inbox) = (self.fib.clone(), self.inbox());
        let outlets = Arc::new(Outlets::new(provisional, self.timing));
        let socket = VirtualSocket::new(kind, fib, inbox.clone(), outlets.clone());
        tasks.spawn("flush", socket.clone().flush_task());
        Wiring {
            inbox,
            socket,
            outlets,
        }
    }

    /// The side that opens sessions.
    fn sessions(
        &self,
        wiring: Wiring,
        crypto: Box<SessionCrypto>,
        failed_paths: mpsc::Sender<Avoid>,
    ) -> io::Result<Arc<Sessions<V>>> {
        Sessions::new(Parts {
            fib: self.fib.clone(),
            socket: wiring.socket,
            outlets: wiring.outlets,
            prober: self.prober.clone(),
            view: self.view.clone(),
            path_errors: self.path_errors.clone(),
            crypto,
            handshake_timeout: self.limits.handshake_timeout,
            log: self.log.clone(),
            failovers: self.failovers.clone(),
            failed_paths,
            timing: self.timing,
        })
    }

    /// The side that accepts them.
    fn listener(
        &self,
        wiring: Wiring,
        accepting: Accepting,
    ) -> io::Result<Arc<SessionListener<V>>> {
        let parts = accept::Parts {
            fib: self.fib.clone(),
            socket: wiring.socket,
            outlets: wiring.outlets,
            prober: self.prober.clone(),
            view: self.view.clone(),
            crypto: accepting.crypto,
            trust: accepting.trust,
            limits: self.limits.clone(),
            log: self.log.clone(),
            failovers: self.failovers.clone(),
            timing: self.timing,
        };
        SessionListener::new(parts, accepting.settings).map(Arc::new)
    }
}

//! Puts the sides of the tunnel together and runs their tasks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, watch};

use super::context::Context;
use super::path::Timing;
use super::session::accept::{Accepting, SessionListener};
use super::session::open::{SessionCrypto, Sessions};
use super::sizes::Sizes;
use super::socket::echo::{Echoer, INBOX};
use super::socket::outlets::Outlets;
use super::socket::prober::Prober;
use super::socket::virtual_socket::VirtualSocket;
use crate::config::Limits;
use crate::forward::{Fib, Inbox, Local};
use crate::identity::AgentId;
use crate::record::SessionLog;
use crate::routing::{Avoid, Mesh};
use crate::task::Vital;
use crate::wire::PathError;
use crate::wire::packet::PacketType;

/// Path errors that a session's task has not looked at yet.
const PATH_ERRORS: usize = 64;

/// What a tunnel needs.
pub struct TunnelSetup {
    pub fib: Arc<Fib>,
    pub limits: Limits,
    pub sizes: Sizes,
    /// Heartbeat interval of this agent's links: what the times of a doubt follow.
    pub heartbeat: Duration,
    pub view: watch::Receiver<Arc<Mesh>>,
    /// Takes what paths should keep away from for a while, because one failed end to end.
    pub failed_paths: mpsc::Sender<Avoid>,
    /// Where what happens to sessions is entered.
    pub log: SessionLog,
    /// Present: this agent opens sessions.
    pub ingress: Option<Box<SessionCrypto>>,
    /// Present: this agent accepts sessions.
    pub exit: Option<Accepting>,
}

/// The tunnel room of one agent.
pub struct Tunnel {
    /// Where the receive loops put what is for us.
    pub local: Local,
    pub sessions: Option<Arc<Sessions>>,
    pub listener: Option<Arc<SessionListener>>,
    /// Path errors about our own packets go in here.
    pub path_errors: broadcast::Sender<(AgentId, PathError)>,
    /// Measures round trips to any agent, and answers those of others.
    pub echoer: Arc<Echoer>,
    pub sizes: Sizes,
}

impl Tunnel {
    /// Makes the sockets and endpoints and starts their tasks: flushers, the prober, the echoer.
    pub fn start(setup: TunnelSetup, tasks: &mut Vital) -> io::Result<Self> {
        let context = Arc::new(Context {
            prober: Prober::new(setup.fib.clone()),
            fib: setup.fib,
            limits: setup.limits,
            sizes: setup.sizes,
            view: setup.view,
            path_errors: broadcast::channel(PATH_ERRORS).0,
            failed_paths: setup.failed_paths,
            log: setup.log,
            timing: Timing::new(setup.heartbeat),
        });
        let probes = Arc::new(Inbox::new(context.limits.receive_queue));
        tasks.spawn("prober", context.prober.clone().receive(probes.clone()));
        let echoer = Echoer::new(context.fib.clone());
        let echoes = Arc::new(Inbox::new(INBOX));
        tasks.spawn("echoer", echoer.clone().receive(echoes.clone()));
        let mut local = Local {
            probes: Some(probes),
            echoes: Some(echoes),
            ..Local::default()
        };
        let mut sessions = None;
        if let Some(crypto) = setup.ingress {
            let (inbox, socket, outlets) = wire(&context, PacketType::ToExit, 0, tasks);
            local.ingress = Some(inbox);
            sessions = Some(Sessions::new(context.clone(), socket, outlets, crypto)?);
        }
        let mut listener = None;
        if let Some(accepting) = setup.exit {
            let provisional = context.limits.provisional_paths;
            let (inbox, socket, outlets) =
                wire(&context, PacketType::ToIngress, provisional, tasks);
            local.exit = Some(inbox);
            let made = SessionListener::new(context.clone(), socket, outlets, accepting)?;
            listener = Some(Arc::new(made));
        }
        Ok(Self {
            local,
            sessions,
            listener,
            path_errors: context.path_errors.clone(),
            echoer,
            sizes: context.sizes,
        })
    }
}

/// Makes the socket of one side, with what it receives from and the paths that it sends along, and
/// starts its flusher. `provisional`: so many destinations may have unproven ways only.
fn wire(
    context: &Context,
    kind: PacketType,
    provisional: usize,
    tasks: &mut Vital,
) -> (Arc<Inbox>, Arc<VirtualSocket>, Arc<Outlets>) {
    let inbox = Arc::new(Inbox::new(context.limits.receive_queue));
    let outlets = Arc::new(Outlets::new(provisional));
    let fib = context.fib.clone();
    let socket = VirtualSocket::new(kind, fib, inbox.clone(), outlets.clone());
    tasks.spawn("flush", socket.clone().flush_task());
    (inbox, socket, outlets)
}

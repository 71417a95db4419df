//! The ingress as a service: its port, and who accepts there.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::super::bind::bind_tcp;
use super::super::error::StartError;
use super::super::parts::Parts;
use super::super::setup::Shared;
use super::super::status::MeshIngress;
use crate::clock::unix_now;
use crate::config::Config;
use crate::exit::Exit;
use crate::identity::{AgentId, Identity, Member, Trust};
use crate::ingress::{Ingress, MeshRoutes, OwnExit};
use crate::routing::Balancer;
use crate::task::{Running, Starter};
use crate::tunnel::Sessions;

/// The key of its port.
const KEY: &str = "socks5.address";

pub(super) struct IngressService {
    ingress: Arc<MeshIngress>,
    sessions: Arc<Sessions>,
    balancer: Arc<Mutex<Balancer>>,
    resolvers: watch::Sender<Vec<AgentId>>,
    /// Who the agent is to its own exit.
    member: watch::Sender<Arc<Member>>,
    address: SocketAddr,
    /// `None`: it takes no clients now.
    door: Option<Door>,
    starter: Starter,
}

/// An accept loop.
struct Door {
    close: oneshot::Sender<()>,
    closed: oneshot::Receiver<()>,
    _accepting: Running,
}

impl IngressService {
    /// Starts it on its port, if the file makes this agent an ingress.
    pub(super) fn start(
        parts: &Parts,
        shared: &Shared,
        exit: Option<&Arc<Exit>>,
        listener: TcpListener,
        starter: &Starter,
    ) -> Option<Self> {
        let config = &parts.config;
        let socks5 = config.socks5.as_ref()?;
        let address = listener.local_addr().unwrap_or(socks5.address);
        let sessions = shared.tunnel.sessions.clone()?;
        let balancer = Arc::new(Mutex::new(Balancer::new(config.routing.balance)));
        let resolvers = watch::Sender::new(socks5.resolvers.clone());
        let routes = MeshRoutes {
            mesh: shared.mesh.clone(),
            balancer: balancer.clone(),
            streams: shared.streams.clone(),
            lately: shared.lately.clone(),
            resolvers: resolvers.subscribe(),
        };
        let member = watch::Sender::new(member(&parts.identity, &parts.trust));
        let own = exit.cloned().map(|exit| OwnExit {
            member: member.subscribe(),
            exit,
        });
        let ingress = Arc::new(Ingress::new(
            socks5,
            &config.limits,
            shared.checks.clone(),
            sessions.clone(),
            routes,
            own,
            shared.streams.clone(),
        ));
        let door = Door::open(&ingress, listener, starter);
        Some(Self {
            ingress,
            sessions,
            balancer,
            resolvers,
            member,
            address,
            door: Some(door),
            starter: starter.clone(),
        })
    }

    /// Goes by `config` from now on, and listens at `port` instead if that is given: who has come to the
    /// old one by then is served.
    pub(super) async fn apply(&mut self, config: &Config, port: Option<TcpListener>) {
        let Some(socks5) = &config.socks5 else { return };
        self.ingress.apply(socks5);
        self.resolvers.send_replace(socks5.resolvers.clone());
        let balance = config.routing.balance;
        self.balancer
            .lock()
            .expect("no panic while locked")
            .set(balance);
        let Some(port) = port else { return };
        self.address = port.local_addr().unwrap_or(socks5.address);
        // One that drains has no port, and takes this one when it serves again.
        if self.door.is_some() {
            let door = Door::open(&self.ingress, port, &self.starter);
            self.close().await;
            self.door = Some(door);
        }
    }

    /// The agent shows another certificate.
    pub(super) fn renewed(&self, identity: &Identity, trust: &Trust) {
        self.member.send_replace(member(identity, trust));
    }

    /// Gives up the port, once those who have come are accepted.
    pub(super) async fn close(&mut self) {
        if let Some(Door { close, closed, .. }) = self.door.take() {
            // Errors mean that the loop is gone, and its port with it.
            let _ = close.send(());
            let _ = closed.await;
        }
    }

    /// Takes the port again.
    pub(super) async fn reopen(&mut self) -> Result<(), StartError> {
        if self.door.is_none() {
            let listener = bind_tcp(KEY, self.address).await?;
            self.door = Some(Door::open(&self.ingress, listener, &self.starter));
        }
        Ok(())
    }

    /// Bytes that were sent to exits and that these have not delivered yet.
    pub(super) fn undelivered(&self) -> u64 {
        self.sessions.undelivered()
    }

    pub(super) fn ingress(&self) -> &Arc<MeshIngress> {
        &self.ingress
    }

    /// Where SOCKS5 is served.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn member(identity: &Identity, trust: &Trust) -> Arc<Member> {
    Arc::new(Member::new(&identity.parsed(), trust, unix_now()))
}

impl Door {
    fn open(ingress: &Arc<MeshIngress>, listener: TcpListener, starter: &Starter) -> Self {
        let (close, closing) = oneshot::channel::<()>();
        let (done, closed) = oneshot::channel();
        let ingress = ingress.clone();
        let accepting = async move {
            let closing = async {
                // Dropped: the service is gone, and this task with it.
                let _ = closing.await;
            };
            ingress.run(listener, closing).await;
            let _ = done.send(());
        };
        Self {
            close,
            closed,
            _accepting: starter.start_ending("accept clients", accepting),
        }
    }
}

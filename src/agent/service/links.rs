//! Links as a service: ports, receive loops, link endpoints, and the tasks that accept and dial.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;

use super::super::bind::{BoundPort, dialling_port};
use super::super::error::StartError;
use super::super::parts::Parts;
use super::super::resolve::SystemResolver;
use super::super::setup::Shared;
use crate::config::{Limits, Peer, Reconnect};
use crate::forward::{BufferPool, Port};
use crate::identity::{AgentId, Identity, Trust, link_client, link_server};
use crate::link::{DataPlane, DialTarget, LinkContext, LinkEndpoint, accept, dial_forever};
use crate::task::{Running, Starter};

pub(super) struct LinkService {
    identity: Arc<Identity>,
    trust: Arc<Trust>,
    limits: Limits,
    context: Arc<LinkContext>,
    plane: DataPlane,
    resolver: Arc<SystemResolver>,
    listeners: Vec<SocketAddr>,
    endpoints: Vec<LinkEndpoint>,
    /// There is a port that reaches everybody.
    dials_anywhere: bool,
    /// Receive loops, and who accepts.
    ports: Vec<Running>,
    dials: BTreeMap<AgentId, Dialling>,
    starter: Starter,
}

/// A peer that is dialled.
struct Dialling {
    peer: Peer,
    reconnect: Reconnect,
    wanted: Arc<AtomicBool>,
    task: Running,
}

/// Peers to be dialled otherwise, of which nothing can fail any more.
pub(in super::super) struct NewPeers {
    gone: Vec<AgentId>,
    targets: Vec<(Peer, DialTarget)>,
    port: Option<Arc<Port>>,
}

impl LinkService {
    /// Starts everything on ports that are bound.
    pub(super) fn start(
        parts: &Parts,
        bound: Vec<BoundPort>,
        context: Arc<LinkContext>,
        shared: &Shared,
        starter: &Starter,
    ) -> Result<Self, StartError> {
        let mut service = Self {
            identity: parts.identity.clone(),
            trust: parts.trust.clone(),
            limits: parts.config.limits.clone(),
            context,
            plane: DataPlane {
                fib: shared.fib.clone(),
                local: shared.tunnel.local.clone(),
                pool: BufferPool::default(),
            },
            resolver: Arc::new(SystemResolver::new()),
            listeners: bound.iter().filter_map(BoundPort::listener).collect(),
            endpoints: Vec::new(),
            dials_anywhere: bound.iter().any(|bound| !bound.listens),
            ports: Vec::new(),
            dials: BTreeMap::new(),
            starter: starter.clone(),
        };
        for bound in bound {
            service.open(bound)?;
        }
        let config = &parts.config;
        let peers = service.plan(
            &config.peers,
            &config.connections.reconnect,
            &parts.trust,
            false,
            false,
        )?;
        service.take(peers);
        Ok(service)
    }

    /// What dialling these peers would change, with the ids that `trust` pins; `trust_changed`: they are
    /// others than before. `renews`: all links that we dialled are replaced, so that the peers see the
    /// agent's new certificate.
    pub(super) fn plan(
        &self,
        peers: &[Peer],
        reconnect: &Reconnect,
        trust: &Trust,
        trust_changed: bool,
        renews: bool,
    ) -> Result<NewPeers, StartError> {
        let is_named = |id: &&AgentId| peers.iter().any(|peer| peer.id == **id);
        let gone = self.dials.keys().filter(|id| !is_named(id)).copied();
        let mut targets = Vec::new();
        for peer in peers {
            let known = self.dials.get(&peer.id);
            let is_same =
                known.is_some_and(|known| known.peer == *peer && known.reconnect == *reconnect);
            if is_same && !renews && !(trust_changed && peer.ca.is_some()) {
                continue;
            }
            let trust = match &peer.ca {
                // Who is revoked is one value for all who judge.
                Some(ca) => {
                    let revoked = self.trust.revoked().clone();
                    Arc::new(trust.with_ca(ca)?.with_revoked(revoked))
                }
                None => self.trust.clone(),
            };
            let target = DialTarget {
                id: peer.id,
                address: peer.address.clone(),
                cost: peer.cost,
                tls: link_client(&self.identity, trust, peer.id)?,
                reconnect: reconnect.clone(),
                replaces: known.is_some_and(|known| renews || known.peer != *peer),
                wanted: Arc::new(AtomicBool::new(true)),
            };
            targets.push((peer.clone(), target));
        }
        let lacks_port = !self.dials_anywhere && !targets.is_empty();
        Ok(NewPeers {
            gone: gone.collect(),
            targets,
            port: lacks_port.then(|| dialling_port(&Port::bind)).transpose()?,
        })
    }

    /// Dials as planned: links of peers that are gone end, changed ones are replaced by new links, all
    /// others stay as they are.
    pub(super) fn take(&mut self, peers: NewPeers) {
        if let Some(port) = peers.port {
            let bound = BoundPort {
                port,
                listens: false,
            };
            // Without it the listeners' ports dial, which reach their own address's side.
            self.dials_anywhere = self.open(bound).is_ok();
        }
        for id in peers.gone {
            if let Some(dialling) = self.dials.remove(&id) {
                dialling.give_up();
            }
            self.context.links.forget(id);
        }
        let endpoints: Arc<[LinkEndpoint]> = self.endpoints.clone().into();
        for (peer, target) in peers.targets {
            let (id, address) = (peer.id, peer.address.to_string());
            self.context.links.configure(id, address);
            let (wanted, reconnect) = (target.wanted.clone(), target.reconnect.clone());
            let (context, endpoints) = (self.context.clone(), endpoints.clone());
            let dial = dial_forever(context, endpoints, self.resolver.clone(), target);
            let dialling = Dialling {
                peer,
                reconnect,
                wanted,
                // It may give up, if the file says so.
                task: self.starter.start_ending("dial", dial),
            };
            if let Some(before) = self.dials.insert(id, dialling) {
                before.give_up();
            }
        }
        self.context.links.wake();
    }

    /// Where neighbours may dial us.
    pub(super) fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// Waits until every link has said its last words: an endpoint is idle when all drivers have
    /// closed.
    pub(super) async fn stop(&self) {
        join_all(self.endpoints.iter().map(LinkEndpoint::wait_idle)).await;
    }

    /// Makes the endpoint of a port and starts what runs on it.
    fn open(&mut self, bound: BoundPort) -> Result<(), StartError> {
        let BoundPort { port, listens } = bound;
        let server = match listens {
            true => Some(link_server(&self.identity, self.trust.clone())?),
            false => None,
        };
        let made = LinkEndpoint::new(port, self.plane.clone(), server, &self.limits);
        let (endpoint, receiving) = made.map_err(|error| StartError::Setup {
            what: "link endpoint",
            reason: error.to_string(),
        })?;
        self.ports.push(self.starter.start("receive", receiving));
        if listens {
            let accept = accept(self.context.clone(), endpoint.clone(), self.limits.clone());
            self.ports.push(self.starter.start("accept links", accept));
        }
        self.endpoints.push(endpoint);
        Ok(())
    }
}

impl Dialling {
    /// Its task ends with the link that it keeps.
    fn give_up(self) {
        self.wanted.store(false, Ordering::Relaxed);
        self.task.let_end();
    }
}

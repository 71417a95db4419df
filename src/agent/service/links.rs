//! Links as a service: ports, receive loops, link endpoints, and the tasks that accept and dial.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;

use super::super::bind::BoundPort;
use super::super::error::StartError;
use super::super::parts::Parts;
use super::super::resolve::SystemResolver;
use super::super::setup::Shared;
use crate::forward::BufferPool;
use crate::identity::{link_client, link_server};
use crate::link::{DataPlane, DialTarget, LinkContext, LinkEndpoint, accept, dial_forever};
use crate::task::{Running, Starter};

pub(super) struct LinkService {
    listeners: Vec<SocketAddr>,
    endpoints: Arc<[LinkEndpoint]>,
    /// Receive loops, and who accepts.
    _ports: Vec<Running>,
    _dials: Vec<Running>,
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
        let listeners = bound.iter().filter_map(BoundPort::listener).collect();
        let mut ports = Vec::new();
        let endpoints = open(parts, bound, &context, shared, starter, &mut ports)?;
        let resolver = Arc::new(SystemResolver::new());
        let mut dials = Vec::new();
        for peer in &parts.config.peers {
            context.links.configure(peer.id, peer.address.to_string());
            let target = DialTarget {
                id: peer.id,
                address: peer.address.clone(),
                cost: peer.cost,
                tls: link_client(&parts.identity, parts.trust_for(peer)?, peer.id)?,
                reconnect: parts.config.connections.reconnect.clone(),
            };
            let (context, endpoints) = (context.clone(), endpoints.clone());
            let dial = dial_forever(context, endpoints, resolver.clone(), target);
            // It may give up, if the file says so.
            dials.push(starter.start_ending("dial", dial));
        }
        Ok(Self {
            listeners,
            endpoints,
            _ports: ports,
            _dials: dials,
        })
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
}

/// Makes the endpoint of each port and starts what runs on it, which goes into `tasks`.
fn open(
    parts: &Parts,
    bound: Vec<BoundPort>,
    context: &Arc<LinkContext>,
    shared: &Shared,
    starter: &Starter,
    tasks: &mut Vec<Running>,
) -> Result<Arc<[LinkEndpoint]>, StartError> {
    let limits = &parts.config.limits;
    let plane = DataPlane {
        fib: shared.fib.clone(),
        local: shared.tunnel.local.clone(),
        pool: BufferPool::default(),
    };
    let mut endpoints = Vec::new();
    for BoundPort { port, listens } in bound {
        let server = match listens {
            true => Some(link_server(&parts.identity, parts.trust.clone())?),
            false => None,
        };
        let made = LinkEndpoint::new(port, plane.clone(), server, limits);
        let (endpoint, receiving) = made.map_err(|error| StartError::Setup {
            what: "link endpoint",
            reason: error.to_string(),
        })?;
        tasks.push(starter.start("receive", receiving));
        if listens {
            let accept = accept(context.clone(), endpoint.clone(), limits.clone());
            tasks.push(starter.start("accept links", accept));
        }
        endpoints.push(endpoint);
    }
    Ok(endpoints.into())
}

//! Opens the ports and starts everything that runs on them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::error::StartError;
use super::parts::Parts;
use super::resolve::SystemResolver;
use crate::forward::{BufferPool, Fib, Local, Port};
use crate::identity::{link_client, link_server};
use crate::link::{DataPlane, DialTarget, LinkContext, LinkEndpoint, accept, dial_forever};
use crate::task::Vital;

/// A bound port, before anything runs on it.
pub(super) struct BoundPort {
    port: Arc<Port>,
    /// Whether neighbours may dial us here.
    listens: bool,
}

/// Makes a port on an address.
pub(super) type BindPort = dyn Fn(SocketAddr) -> io::Result<Arc<Port>> + Send + Sync;

/// Binds every listener, and a port to dial from if none of them will do.
pub(super) fn bind(parts: &Parts, bind: &BindPort) -> Result<Vec<BoundPort>, StartError> {
    let mut bound = Vec::new();
    for (index, listener) in parts.config.listeners.iter().enumerate() {
        let key = format!("listeners[{index}].address");
        let address = listener.address;
        let port = bind(address).map_err(|cause| StartError::Bind {
            key,
            address,
            cause,
        })?;
        bound.push(BoundPort {
            port,
            listens: true,
        });
    }
    // A listener on one address cannot reach everybody.
    if !parts.config.peers.is_empty() {
        bound.push(BoundPort {
            port: dialling_port(bind)?,
            listens: false,
        });
    }
    Ok(bound)
}

/// A port on all addresses, of both families where the host has IPv6.
fn dialling_port(bind: &BindPort) -> Result<Arc<Port>, StartError> {
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    bind(v6)
        .or_else(|_| bind(v4))
        .map_err(|cause| StartError::Bind {
            key: "peers".to_owned(),
            address: v4,
            cause,
        })
}

/// Addresses on which neighbours may dial us.
pub(super) fn listening(bound: &[BoundPort]) -> Vec<SocketAddr> {
    bound
        .iter()
        .filter(|bound| bound.listens)
        .map(|bound| bound.port.local_addr())
        .collect()
}

/// Starts receive loops, link endpoints, and the accept and dial tasks.
pub(super) fn start(
    parts: &Parts,
    bound: Vec<BoundPort>,
    context: &Arc<LinkContext>,
    fib: &Arc<Fib>,
    local: &Local,
    tasks: &mut Vital,
) -> Result<Vec<LinkEndpoint>, StartError> {
    let limits = &parts.config.limits;
    let plane = DataPlane {
        fib: fib.clone(),
        local: local.clone(),
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
        tasks.spawn("receive", receiving);
        if listens {
            let accept = accept(context.clone(), endpoint.clone(), limits.clone());
            tasks.spawn("accept links", accept);
        }
        endpoints.push(endpoint);
    }
    let shared: Arc<[LinkEndpoint]> = endpoints.clone().into();
    let resolver = Arc::new(SystemResolver::new());
    for peer in &parts.config.peers {
        context.links.configure(peer.id, peer.address.to_string());
        let target = DialTarget {
            id: peer.id,
            address: peer.address.clone(),
            cost: peer.cost,
            tls: link_client(&parts.identity, parts.trust_for(peer)?, peer.id)?,
            reconnect: parts.config.connections.reconnect.clone(),
        };
        let dial = dial_forever(context.clone(), shared.clone(), resolver.clone(), target);
        // It may give up, if the file says so.
        tasks.spawn_ending("dial", dial);
    }
    Ok(endpoints)
}

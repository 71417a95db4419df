//! Takes every port that the configuration names, before anything runs.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tracing::warn;

use super::error::StartError;
use super::parts::Parts;
use crate::api::{API_SOCKET, Server};
use crate::config::{ApiSocket, Http};
use crate::forward::Port;

/// A bound port, before anything runs on it.
pub(super) struct BoundPort {
    pub(super) port: Arc<Port>,
    /// Whether neighbours may dial us here.
    pub(super) listens: bool,
}

impl BoundPort {
    /// Where neighbours may dial us, if they may here.
    pub(super) fn listener(&self) -> Option<SocketAddr> {
        self.listens.then(|| self.port.local_addr())
    }
}

/// Makes a port on an address.
pub(super) type BindPort = dyn Fn(SocketAddr) -> io::Result<Arc<Port>> + Send + Sync;

/// The ports of an agent.
pub(super) struct Sockets {
    pub(super) links: Vec<BoundPort>,
    pub(super) socks5: Option<TcpListener>,
    pub(super) http: Option<Server>,
    /// For HAProxy's `agent-check`.
    pub(super) checks: Option<TcpListener>,
}

impl Sockets {
    pub(super) async fn bind(parts: &Parts) -> Result<Self, StartError> {
        let links = bind_links(parts, &Port::bind)?;
        let socks5 = match &parts.config.socks5 {
            Some(socks5) => Some(bind_tcp("socks5.address", socks5.address).await?),
            None => None,
        };
        let http = match &parts.config.http {
            Some(http) => Some(bind_http(http, &parts.config.agent.data_dir).await?),
            None => None,
        };
        let checks = match parts.config.http.as_ref().and_then(|http| http.agent_check) {
            Some(address) => Some(bind_tcp("http.agent_check", address).await?),
            None => None,
        };
        Ok(Self {
            links,
            socks5,
            http,
            checks,
        })
    }

    /// Ports of links alone, made by `bind`.
    pub(super) fn bind_links(parts: &Parts, bind: &BindPort) -> Result<Self, StartError> {
        Ok(Self {
            links: bind_links(parts, bind)?,
            socks5: None,
            http: None,
            checks: None,
        })
    }

    /// Of all of them.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let links = self.links.iter().filter_map(BoundPort::listener);
        let socks5 = self.socks5.as_ref().and_then(|s| s.local_addr().ok());
        let http = self.http.as_ref().map(Server::local_addr);
        let checks = self.checks.as_ref().and_then(|c| c.local_addr().ok());
        links.chain(socks5).chain(http).chain(checks)
    }
}

/// Binds every listener, and a port to dial from if none of them will do.
fn bind_links(parts: &Parts, bind: &BindPort) -> Result<Vec<BoundPort>, StartError> {
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
pub(super) fn dialling_port(bind: &BindPort) -> Result<Arc<Port>, StartError> {
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

pub(super) async fn bind_tcp(key: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| StartError::Bind {
            key: key.to_owned(),
            address,
            cause,
        })
}

async fn bind_http(http: &Http, data_dir: &Path) -> Result<Server, StartError> {
    let address = http.address;
    let mut server = Server::bind(address)
        .await
        .map_err(|cause| StartError::Bind {
            key: "http.address".to_owned(),
            address,
            cause,
        })?;
    match &http.socket {
        ApiSocket::At(path) => server.bind_socket(path)?,
        // An agent that may write nothing is none the worse.
        ApiSocket::Default => {
            if let Err(error) = server.bind_socket(&data_dir.join(API_SOCKET)) {
                warn!(%error, "no local socket; commands use http.address");
            }
        }
        ApiSocket::Off => {}
    }
    Ok(server)
}

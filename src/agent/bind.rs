//! Takes every port that the configuration names, before anything runs.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;
use tracing::warn;

use super::error::StartError;
use super::links::{self, BindPort, BoundPort};
use super::parts::Parts;
use crate::api::{API_SOCKET, Server};
use crate::config::{ApiSocket, Http};
use crate::forward::Port;

/// The ports of an agent.
pub(super) struct Sockets {
    pub(super) links: Vec<BoundPort>,
    pub(super) socks5: Option<TcpListener>,
    pub(super) http: Option<Server>,
}

impl Sockets {
    pub(super) async fn bind(parts: &Parts) -> Result<Self, StartError> {
        let links = links::bind(parts, &Port::bind)?;
        let socks5 = match &parts.config.socks5 {
            Some(socks5) => Some(bind_tcp("socks5.address", socks5.address).await?),
            None => None,
        };
        let http = match &parts.config.http {
            Some(http) => Some(bind_http(http, &parts.config.agent.data_dir).await?),
            None => None,
        };
        Ok(Self {
            links,
            socks5,
            http,
        })
    }

    /// Ports of links alone, made by `bind`.
    pub(super) fn bind_links(parts: &Parts, bind: &BindPort) -> Result<Self, StartError> {
        Ok(Self {
            links: links::bind(parts, bind)?,
            socks5: None,
            http: None,
        })
    }
}

async fn bind_tcp(key: &str, address: SocketAddr) -> Result<TcpListener, StartError> {
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

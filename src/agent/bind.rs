//! Takes every port that the configuration names, before anything runs.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::error::StartError;
use super::links::{self, BindPort, BoundPort};
use super::parts::Parts;
use crate::api::Server;
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
            Some(http) => Some(bind_http(http.address).await?),
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

async fn bind_http(address: SocketAddr) -> Result<Server, StartError> {
    Server::bind(address)
        .await
        .map_err(|error| StartError::Bind {
            key: "http.address".to_owned(),
            address,
            cause: error.source,
        })
}

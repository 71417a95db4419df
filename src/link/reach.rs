//! A peer's addresses to one connection, by Happy Eyeballs ([`race`]): an address that is silent
//! costs a quarter of a second and not a whole time-out.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;

use super::dial_error::DialError;
use super::transport::{Connection, LinkEndpoint, OpenError};
use crate::config::HostPort;
use crate::names::{Lookup, race};

/// Turns a peer's host name into addresses.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, as they become known.
    fn resolve(&self, host: &str) -> Lookup;
}

/// A handshake that succeeded.
pub(super) struct Reached<'a> {
    pub(super) connection: Connection,
    pub(super) address: SocketAddr,
    pub(super) endpoint: &'a LinkEndpoint,
}

/// How one address is dialled.
pub(super) struct Approach<'a> {
    pub(super) endpoints: &'a [LinkEndpoint],
    pub(super) tls: Arc<rustls::ClientConfig>,
    /// Of an earlier link.
    pub(super) rtt: Option<Duration>,
    /// For the handshake with each address.
    pub(super) within: Duration,
}

/// Connects to whichever address of `peer` answers first. The error is that of the last one to fail.
pub(super) async fn reach<'a, R: Resolve>(
    peer: &HostPort,
    resolver: &R,
    approach: &Approach<'a>,
) -> Result<Reached<'a>, DialError> {
    let mut reason = "it has no address".to_owned();
    let parts = resolver.resolve(&peer.host);
    let parts = parts.filter_map(|part| {
        let known = part.map_err(|error| reason = error.to_string());
        ready(known.ok())
    });
    // Each attempt ends by itself.
    let patience = 2 * approach.within;
    let raced = race(parts, peer.port, patience, |address| {
        approach.handshake(address)
    });
    let failure = match raced.await {
        Ok(reached) => return Ok(reached),
        Err(failure) => failure,
    };
    let host = peer.host.clone();
    let last = failure.errors.into_iter().next_back();
    Err(last.unwrap_or(DialError::Resolve { host, reason }))
}

impl<'a> Approach<'a> {
    async fn handshake(&self, address: SocketAddr) -> Result<Reached<'a>, DialError> {
        let endpoint = self
            .endpoints
            .iter()
            .find(|endpoint| endpoint.reaches(address))
            .ok_or(DialError::NoPort(address))?;
        let opening = endpoint.open(address, self.tls.clone(), self.rtt);
        Ok(Reached {
            connection: within(self.within, address, opening).await?,
            address,
            endpoint,
        })
    }
}

/// Gives `opening` a connection with `address` so much time.
pub(super) async fn within(
    limit: Duration,
    address: SocketAddr,
    opening: impl Future<Output = Result<Connection, OpenError>>,
) -> Result<Connection, DialError> {
    match timeout(limit, opening).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(OpenError::Setup(reason))) => Err(DialError::Connect { address, reason }),
        Ok(Err(OpenError::Ended(end))) => Err(DialError::Handshake {
            address,
            reason: end.describe(),
        }),
        Err(_) => Err(DialError::TimedOut {
            address,
            within: limit,
        }),
    }
}

//! A peer's addresses to one QUIC connection, by Happy Eyeballs ([`race`]): an address that is silent
//! costs a quarter of a second and not a whole time-out.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use quinn::Connection;
use quinn::crypto::rustls::QuicClientConfig;
use tokio::time::timeout;

use super::dial::{DialError, Resolve};
use super::endpoint::{LinkEndpoint, client_config};
use super::hello::describe;
use crate::config::HostPort;
use crate::identity::SERVER_NAME;
use crate::names::race;

/// A handshake that succeeded.
pub(super) struct Reached<'a> {
    pub(super) connection: Connection,
    pub(super) address: SocketAddr,
    pub(super) endpoint: &'a LinkEndpoint,
}

/// How one address is dialled.
pub(super) struct Approach<'a> {
    pub(super) endpoints: &'a [LinkEndpoint],
    pub(super) crypto: Arc<QuicClientConfig>,
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
        let within = self.within;
        let endpoint = self
            .endpoints
            .iter()
            .find(|endpoint| endpoint.port.reaches(address))
            .ok_or(DialError::NoPort(address))?;
        let _dialled = endpoint.socket.expect(address);
        let connecting = endpoint
            .endpoint
            .connect_with(
                client_config(self.crypto.clone(), self.rtt),
                address,
                SERVER_NAME,
            )
            .map_err(|source| DialError::Connect { address, source })?;
        let connection = timeout(within, connecting)
            .await
            .map_err(|_| DialError::TimedOut { address, within })?
            .map_err(|error| DialError::Handshake {
                address,
                reason: describe(&error),
            })?;
        Ok(Reached {
            connection,
            address,
            endpoint,
        })
    }
}

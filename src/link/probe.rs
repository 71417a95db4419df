//! A dial that learns whether a link would come about, and makes none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::dial_error::DialError;
use super::ending::code;
use super::hello::{self, CHECKED};
use super::patience::patience;
use super::reach;
use super::transport::OwnPort;
use crate::clock::unix_ms;
use crate::config::Limits;

/// A peer that would have taken the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// What the peer calls itself.
    pub display_name: String,
    pub rtt: Duration,
    /// When the peer's process started by its own clock, Unix milliseconds.
    pub epoch: u64,
    /// How far the peer's clock is ahead of ours, milliseconds, give or take the round trip; negative:
    /// behind. `None`: it is of a release that does not tell.
    pub ahead_ms: Option<i64>,
}

/// Dials `address` from a port of its own and hangs up once the peer has accepted our certificate
/// and said hello. Nothing is said of ourselves beyond the certificate, so the peer has no link to
/// announce and an agent of the same identity is not disturbed.
pub async fn probe(
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    limits: &Limits,
) -> Result<Probed, DialError> {
    let within = patience(limits.handshake_timeout, None);
    let port = OwnPort::towards(address).map_err(|_| DialError::NoPort(address))?;
    let connection = reach::within(within, address, port.open(address, tls)).await?;
    let heard = hello::overhear(&connection, limits.control_message, within).await;
    let (rtt, now_ms) = (connection.rtt(), unix_ms());
    connection.close(code::GOODBYE, CHECKED);
    // The peer should learn of the end from us; a silent one is left to its time-out.
    let _ = timeout(within, port.wait_idle()).await;
    let hello = heard.map_err(|error| DialError::Hello {
        address,
        reason: error.to_string(),
    })?;
    Ok(Probed {
        display_name: hello.display_name,
        rtt,
        epoch: hello.epoch,
        // It was said half a round trip ago.
        ahead_ms: hello.time_ms.map(|time_ms| {
            let then_ms = now_ms.saturating_sub((rtt / 2).as_millis() as u64);
            time_ms.wrapping_sub(then_ms).cast_signed()
        }),
    })
}

//! Why a dial did not become a link.

use std::net::SocketAddr;
use std::time::Duration;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("cannot resolve {host}: {reason}")]
    Resolve { host: String, reason: String },
    #[error("no local port can reach {0}")]
    NoPort(SocketAddr),
    #[error("cannot dial {address}: {reason}")]
    Connect { address: SocketAddr, reason: String },
    #[error("{address} did not answer within {within:?}")]
    TimedOut {
        address: SocketAddr,
        within: Duration,
    },
    #[error("handshake with {address} failed: {reason}")]
    Handshake { address: SocketAddr, reason: String },
    #[error("hello with {address} failed: {reason}")]
    Hello { address: SocketAddr, reason: String },
    #[error("{address} keeps another link with us")]
    Superseded { address: SocketAddr, rtt: Duration },
}

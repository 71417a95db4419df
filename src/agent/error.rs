//! Why an agent does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::api::SocketError;
use crate::identity::{AgentId, IdentityError, TlsError, TrustLoadError};

/// Each names the key of the configuration that it is about.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Trust(#[from] TrustLoadError),
    #[error(
        "agent.id is {expected}, but the key's id is {id}: use the key that belongs to it, or `auto`"
    )]
    WrongId { expected: AgentId, id: AgentId },
    #[error(
        "peers: the peer at {address} has this agent's own id {id}: every agent needs its own key"
    )]
    OwnPeer { address: String, id: AgentId },
    #[error("{key}: cannot bind {address}: {cause}{}", hint(cause))]
    Bind {
        key: String,
        address: SocketAddr,
        /// Told by the text above, in the middle of it, and so not as the source again.
        cause: io::Error,
    },
    #[error(
        "tls.key is agent {id}'s: this agent is {own} for as long as it runs, so renew the certificate of its \
         own key, or start it again"
    )]
    OtherKey { own: AgentId, id: AgentId },
    #[error(
        "tls.cert is from no CA that this agent trusts, which the one that it shows is: peers would refuse it"
    )]
    NotVouched,
    #[error("http.socket: {0}")]
    Socket(#[from] SocketError),
    #[error("trust.revoke_file: {}: {reason}", path.display())]
    Revocations { path: PathBuf, reason: String },
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("cannot set up the {what}: {reason}")]
    Setup { what: &'static str, reason: String },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another process has it: stop that one or choose another port"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need privileges: choose a higher one"
        }
        io::ErrorKind::AddrNotAvailable => "; no interface of this host has that address",
        _ => "",
    }
}

//! A target to a TCP connection, through the exit's own routes only.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;
use tracing::debug;

use super::Exit;
use super::dial::{self, DialError, dial};
use super::dns::ResolveError;
use crate::tunnel::tune;
use crate::wire::{ConnectStatus, Target};

/// A connection to a target.
#[derive(Debug)]
pub struct Dialled {
    pub tcp: TcpStream,
    /// Our address on it.
    pub bound: SocketAddr,
}

/// Why a target was not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("this exit is draining")]
    Draining,
    #[error("{0} is outside this exit's routes, or special and not in exit.allow_special")]
    NotAllowed(String),
    #[error("{0} has no address")]
    NotFound(String),
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("connecting to {target} failed: {source}")]
    Dial { target: String, source: DialError },
}

impl ConnectError {
    /// What the ingress is told.
    pub fn status(&self) -> ConnectStatus {
        match self {
            Self::Draining | Self::Resolve(ResolveError::Draining { .. }) => {
                ConnectStatus::Draining
            }
            Self::NotAllowed(_) => ConnectStatus::NotAllowed,
            Self::NotFound(_) => ConnectStatus::NameNotFound,
            Self::Resolve(ResolveError::TimedOut { .. }) => ConnectStatus::TimedOut,
            Self::Resolve(ResolveError::Failed { .. }) => ConnectStatus::HostUnreachable,
            Self::Resolve(ResolveError::Busy { .. }) => ConnectStatus::Internal,
            Self::Dial { source, .. } => match source {
                DialError::TimedOut(_) => ConnectStatus::TimedOut,
                DialError::Io(error) => dial::status(error),
            },
        }
    }
}

impl Exit {
    /// Connects to `target`: resolves a name, keeps the addresses inside this exit's routes, and
    /// dials those. Takes `dns.timeout` and `connect_timeout` at most.
    pub async fn connect(&self, target: &Target) -> Result<Dialled, ConnectError> {
        let result = self.connect_allowed(target).await;
        let status = match &result {
            Ok(_) => ConnectStatus::Connected,
            Err(error) => error.status(),
        };
        self.metrics.connects(status).inc();
        if let Err(error) = &result {
            debug!(%error, "connect failed");
        }
        result
    }

    async fn connect_allowed(&self, target: &Target) -> Result<Dialled, ConnectError> {
        if self.is_draining() {
            return Err(ConnectError::Draining);
        }
        let addresses = self.reachable(target).await?;
        let failed = |source| ConnectError::Dial {
            target: describe(target),
            source,
        };
        let tcp = dial(addresses, self.connect_timeout)
            .await
            .map_err(failed)?;
        tune(&tcp).map_err(|error| failed(error.into()))?;
        let bound = tcp.local_addr().map_err(|error| failed(error.into()))?;
        Ok(Dialled { tcp, bound })
    }

    /// The target's addresses that lie inside our routes; at least one.
    async fn reachable(&self, target: &Target) -> Result<Vec<SocketAddr>, ConnectError> {
        let not_allowed = || ConnectError::NotAllowed(describe(target));
        let (found, port) = match target {
            Target::Address(address) => (vec![address.ip()], address.port()),
            Target::Domain(name, port) => {
                if !self.acl.allows_name(name) {
                    return Err(not_allowed());
                }
                (self.resolve(name).await?, *port)
            }
        };
        if found.is_empty() {
            return Err(ConnectError::NotFound(describe(target)));
        }
        let allowed: Vec<_> = found
            .into_iter()
            .map(|ip| ip.to_canonical())
            .filter(|ip| self.acl.allows(*ip))
            .map(|ip| SocketAddr::new(ip, port))
            .filter(|address| !self.own.take(*address))
            .collect();
        if allowed.is_empty() {
            return Err(not_allowed());
        }
        Ok(allowed)
    }

    /// The addresses of `name`; empty if it has none. Takes `dns.timeout` at most.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let result = self.resolve_bounded(name).await;
        self.metrics.resolves(&result).inc();
        result
    }

    async fn resolve_bounded(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let name_owned = || name.to_owned();
        if self.is_draining() {
            return Err(ResolveError::Draining { name: name_owned() });
        }
        let Ok(_permit) = self.dns_queries.try_acquire() else {
            return Err(ResolveError::Busy { name: name_owned() });
        };
        self.resolver.lookup(name).await
    }
}

/// `host:port` for people.
pub(super) fn describe(target: &Target) -> String {
    match target {
        Target::Address(address) => address.to_string(),
        Target::Domain(name, port) => format!("{name}:{port}"),
    }
}

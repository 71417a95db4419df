//! A target to a TCP connection, through the exit's own routes only.

use std::future::ready;
use std::net::{IpAddr, SocketAddr};

use futures_util::{StreamExt, stream};
use tokio::net::TcpStream;
use tracing::debug;

use super::Exit;
use super::dial::{self, DialError, dial};
use super::dns::{ResolveError, Resolving};
use super::found::{Found, Lack};
use super::settings::Settings;
use crate::identity::{AgentId, Member};
use crate::names::{Families, Part, host_families};
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
    #[error("this exit has as many connections of that ingress as its share is")]
    Busy,
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
            Self::Busy | Self::Resolve(ResolveError::Busy { .. }) => ConnectStatus::Internal,
            Self::Dial { source, .. } => match source {
                DialError::TimedOut(_) => ConnectStatus::TimedOut,
                DialError::Io(error) => dial::status(error),
            },
        }
    }
}

impl Exit {
    /// Connects to `target` for `ingress`: resolves a name, keeps the addresses inside this exit's routes, and
    /// dials those. Takes `dns.timeout` and `connect_timeout` at most.
    pub async fn connect(
        &self,
        ingress: &Member,
        target: &Target,
    ) -> Result<Dialled, ConnectError> {
        let result = self.connect_allowed(ingress, target).await;
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

    async fn connect_allowed(
        &self,
        ingress: &Member,
        target: &Target,
    ) -> Result<Dialled, ConnectError> {
        if self.is_draining() {
            return Err(ConnectError::Draining);
        }
        let failed = |source| ConnectError::Dial {
            target: target.to_string(),
            source,
        };
        let tcp = self.dial(ingress, target).await?;
        tune(&tcp).map_err(|error| failed(error.into()))?;
        let bound = tcp.local_addr().map_err(|error| failed(error.into()))?;
        Ok(Dialled { tcp, bound })
    }

    /// Dials the target's addresses inside our routes, as they become known.
    async fn dial(&self, ingress: &Member, target: &Target) -> Result<TcpStream, ConnectError> {
        let mut found = Found::default();
        let settings = self.settings();
        let (dialled, timeout) = (target.to_string(), settings.connect_timeout);
        let result = match target {
            Target::Address(address) => {
                let part = Part {
                    addresses: vec![address.ip()],
                    more: false,
                };
                let keep = |ip| settings.is_reached(ip, address.port());
                let parts = stream::iter(found.keep(Ok(part), keep));
                dial(parts, address.port(), timeout).await
            }
            Target::Domain(name, port) => {
                if !settings.acl.allows_name(name) {
                    return Err(ConnectError::NotAllowed(dialled));
                }
                let parts =
                    self.resolve(ingress.id, name, settings.acl.families(host_families()))?;
                let keep = |ip| settings.is_reached(ip, *port);
                let parts = parts.filter_map(|part| ready(found.keep(part, keep)));
                dial(parts, *port, timeout).await
            }
        };
        result.map_err(|source| match found.lack() {
            Some(Lack::Failed(error)) => error.into(),
            Some(Lack::NoAddress) => ConnectError::NotFound(dialled),
            Some(Lack::NoneKept) => ConnectError::NotAllowed(dialled),
            None => ConnectError::Dial {
                target: dialled,
                source,
            },
        })
    }

    /// Looks `name` up for `ingress`; `families` says which answers are of use. Takes `dns.timeout` at most.
    pub fn resolve(
        &self,
        ingress: AgentId,
        name: &str,
        families: Families,
    ) -> Result<Resolving<'_>, ResolveError> {
        let refused = |error: ResolveError| {
            self.metrics.resolved(error.result()).inc();
            error
        };
        let name_owned = || name.to_owned();
        if self.is_draining() {
            return Err(refused(ResolveError::Draining { name: name_owned() }));
        }
        let Some(place) = self.dns_queries.take(ingress) else {
            return Err(refused(ResolveError::Busy { name: name_owned() }));
        };
        let lookup = self.settings().resolver.lookup(name, families);
        Ok(Resolving::new(lookup, place, &self.metrics))
    }

    /// The addresses of `name` in both families, as far as they come together; empty if it has none.
    #[cfg(test)]
    pub(crate) async fn resolve_whole(
        &self,
        ingress: AgentId,
        name: &str,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        self.resolve(ingress, name, Families::BOTH)?.whole().await
    }
}

impl Settings {
    /// Whether an exit that goes by them dials there.
    fn is_reached(&self, ip: IpAddr, port: u16) -> bool {
        self.acl.allows(ip) && !self.own.take(SocketAddr::new(ip, port))
    }
}

//! Names through the mesh: the exits that resolve for others are asked in order.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::timeout;
use tracing::debug;

use super::connect::Patience;
use super::error::ConnectError;
use super::{OwnExit, Routes};
use crate::identity::AgentId;
use crate::tunnel::{OpenStream, receive_message, send_message};
use crate::wire::{ResolveReply, ResolveRequest, StreamRequest};

/// Resolvers asked for one name before the client is told that there is none.
const MAX_RESOLVERS: usize = 4;

/// Addresses of one name that are matched against routes.
const MAX_ADDRESSES: usize = 16;

/// What one resolver had to say when it had no address.
enum Silence {
    /// The name does not exist or has no address.
    NotFound,
    /// The resolver, or its servers, failed.
    Failed,
    /// No answer within the time.
    TimedOut,
    /// The resolver was not reached.
    Mesh,
}

/// The addresses of `name`, at least one, in the order of the first resolver that knows any. If none
/// was reached, they are asked once more, by the routes as of then.
pub(super) async fn resolve<T: OpenStream, R: Routes>(
    name: &str,
    opener: &T,
    routes: &R,
    own: Option<&OwnExit>,
    patience: &Patience,
) -> Result<Vec<IpAddr>, ConnectError> {
    let first = ask_each(routes.resolvers(), name, opener, own, patience).await;
    if !matches!(first, Err(ConnectError::NoRoute(_))) {
        return first;
    }
    let found = || Some(routes.resolvers()).filter(|resolvers| !resolvers.is_empty());
    match routes.wait_for(found).await {
        Some(resolvers) => ask_each(resolvers, name, opener, own, patience).await,
        None => first,
    }
}

async fn ask_each<T: OpenStream>(
    mut resolvers: Vec<AgentId>,
    name: &str,
    opener: &T,
    own: Option<&OwnExit>,
    patience: &Patience,
) -> Result<Vec<IpAddr>, ConnectError> {
    resolvers.truncate(MAX_RESOLVERS);
    let mut verdict = ConnectError::NoRoute(name.to_owned());
    let count = resolvers.len();
    for (index, resolver) in resolvers.into_iter().enumerate() {
        let rtt = opener.round_trip(resolver);
        let time = patience.resolve(index + 1 < count, rtt);
        let answer = match own {
            Some(own) if own.id == resolver => ask_own(own, name, time).await,
            _ => ask(opener, resolver, name, time).await,
        };
        verdict = match answer {
            Ok(mut addresses) => {
                addresses.truncate(MAX_ADDRESSES);
                return Ok(addresses);
            }
            Err(silence) => verdict.or(silence.verdict(name)),
        };
    }
    Err(verdict)
}

impl Silence {
    fn verdict(self, name: &str) -> ConnectError {
        let name = name.to_owned();
        match self {
            Self::NotFound => ConnectError::NotFound(name),
            Self::Failed => ConnectError::NotResolved(name),
            Self::TimedOut => ConnectError::TimedOut(name),
            Self::Mesh => ConnectError::NoRoute(name),
        }
    }
}

async fn ask_own(own: &OwnExit, name: &str, time: Duration) -> Result<Vec<IpAddr>, Silence> {
    match timeout(time, own.exit.resolve(name)).await {
        Ok(Ok(found)) if found.is_empty() => Err(Silence::NotFound),
        Ok(Ok(found)) => Ok(found),
        Ok(Err(_)) => Err(Silence::Failed),
        Err(_) => Err(Silence::TimedOut),
    }
}

async fn ask<T: OpenStream>(
    opener: &T,
    resolver: AgentId,
    name: &str,
    time: Duration,
) -> Result<Vec<IpAddr>, Silence> {
    let exchange = async {
        let mut stream = opener.open(resolver).await.map_err(|_| Silence::Mesh)?;
        let name = name.to_owned();
        let request = StreamRequest::Resolve(ResolveRequest { name });
        let sent = send_message(&mut stream.send, &request).await;
        sent.map_err(|_| Silence::Mesh)?;
        let reply = receive_message::<ResolveReply>(&mut stream.recv).await;
        reply.map_err(|_| Silence::Mesh)
    };
    let answer = timeout(time, exchange);
    let reply = tokio::select! {
        biased;
        answer = answer => answer.map_err(|_| Silence::TimedOut)??,
        () = opener.lost(resolver) => return Err(Silence::Mesh),
    };
    if let Some(reason) = reply.error {
        debug!(%resolver, reason, "resolver failed");
        return Err(Silence::Failed);
    }
    if reply.addresses.is_empty() {
        return Err(Silence::NotFound);
    }
    Ok(reply.addresses)
}

//! Names through the mesh: the exits that resolve for others are asked in order.

use std::net::IpAddr;
use std::time::Duration;

use tracing::debug;

use super::connect::Patience;
use super::error::ConnectError;
use super::waiting::Waiting;
use super::{Ingress, OwnExit, Routes, Wanted};
use crate::clock::within;
use crate::identity::AgentId;
use crate::tunnel::{OpenStream, receive_message, send_message};
use crate::wire::{ResolveReply, ResolveRequest, StreamRequest};

/// Resolvers asked for one name before the client is told that there is none.
const MAX_RESOLVERS: usize = 4;

/// Times that they are asked while none of them is reached.
const MAX_ROUNDS: usize = 4;

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

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// The addresses of `name`, at least one, in the order of the first resolver that knows any. If none
    /// was reached, they are asked once more at once, and then whenever the mesh has changed.
    pub(super) async fn resolve_patiently(
        &self,
        name: &str,
        waiting: &mut Waiting<'_>,
    ) -> Result<Vec<IpAddr>, ConnectError> {
        for round in 0..MAX_ROUNDS {
            let mut is_news = round < 2;
            let found = || {
                let resolvers = Some(self.routes.resolvers());
                let looked = std::mem::replace(&mut is_news, true);
                resolvers.filter(|resolvers| looked && !resolvers.is_empty())
            };
            // One that was there at the first look, and then was not, was had lately too.
            let worth = round > 0 || self.routes.had(Wanted::Resolver);
            let Some(resolvers) = waiting.find(&self.routes, worth, found).await else {
                break;
            };
            let (opener, own) = (&self.opener, self.own.as_ref());
            let outcome = ask_each(resolvers, name, opener, own, &self.patience).await;
            if !matches!(outcome, Err(ConnectError::NoRoute(_))) {
                return outcome;
            }
        }
        Err(ConnectError::NoRoute(name.to_owned()))
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
    match within(time, own.exit.resolve_whole(name)).await {
        Some(Ok(found)) if found.is_empty() => Err(Silence::NotFound),
        Some(Ok(found)) => Ok(found),
        Some(Err(_)) => Err(Silence::Failed),
        None => Err(Silence::TimedOut),
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
        let request = StreamRequest::Resolve(ResolveRequest { name, useful: None });
        let sent = send_message(&mut stream.send, &request).await;
        sent.map_err(|_| Silence::Mesh)?;
        let reply = receive_message::<ResolveReply>(&mut stream.recv).await;
        reply.map_err(|_| Silence::Mesh)
    };
    let answer = within(time, exchange);
    let reply = tokio::select! {
        biased;
        answer = answer => answer.ok_or(Silence::TimedOut)??,
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

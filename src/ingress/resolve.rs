//! Names through the mesh: the exits that resolve for others are asked in order.

use std::future::ready;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tracing::debug;

use super::error::ConnectError;
use super::patience::{Patience, patiently};
use super::waiting::Waiting;
use super::{Ingress, OwnExit, Routes, Wanted};
use crate::clock::within;
use crate::identity::AgentId;
use crate::names::{Families, Family, RESOLUTION_DELAY, without_dot};
use crate::tunnel::{ExitStream, OpenStream, receive_message, send_message};
use crate::wire::{ResolveReply, ResolveRequest, StreamRequest, USEFUL_V4, USEFUL_V6};

/// Resolvers asked for one name before the client is told that there is none.
const MAX_RESOLVERS: usize = 4;

/// Times that they are asked while none of them is reached.
const MAX_ROUNDS: usize = 4;

/// Addresses of one name that are matched against routes.
pub(super) const MAX_ADDRESSES: usize = 16;

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

/// The addresses of a name.
pub(super) struct Resolved<'a> {
    /// At least one.
    pub(super) addresses: Vec<IpAddr>,
    /// Those of a family whose answer has yet to come.
    late: Option<BoxStream<'a, Vec<IpAddr>>>,
}

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// The addresses of `name`, at least one, in the order of the first resolver that knows any. If none
    /// was reached, they are asked once more at once, and then whenever the mesh has changed. `None`: a
    /// domain route covers the name by now, so that nobody else may be asked for it.
    pub(super) async fn resolve_patiently(
        &self,
        name: &str,
        waiting: &mut Waiting<'_>,
    ) -> Result<Option<Resolved<'_>>, ConnectError> {
        let (families, bare) = (self.routes.families(), without_dot(name));
        for round in 0..MAX_ROUNDS {
            let mut is_news = round < 2;
            let found = || {
                let looked = std::mem::replace(&mut is_news, true);
                if self.routes.is_owned(bare) {
                    return Some(None);
                }
                let resolvers = self.routes.resolvers(bare);
                (looked && !resolvers.is_empty()).then_some(Some(resolvers))
            };
            // One that was there at the first look, and then was not, was had lately too.
            let worth = round > 0 || self.routes.had(Wanted::Resolver(bare));
            let resolvers = match waiting.find(&self.routes, worth, found).await {
                Some(Some(resolvers)) => resolvers,
                Some(None) => return Ok(None),
                None => break,
            };
            let (opener, own) = (&self.opener, self.own.as_ref());
            let outcome = ask_each(resolvers, name, families, opener, own, &self.patience).await;
            if !matches!(outcome, Err(ConnectError::NoRoute(_))) {
                return outcome.map(Some);
            }
        }
        Err(ConnectError::NoRoute(name.to_owned()))
    }
}

async fn ask_each<'a, T: OpenStream>(
    mut resolvers: Vec<AgentId>,
    name: &str,
    families: Families,
    opener: &T,
    own: Option<&'a OwnExit>,
    patience: &Patience,
) -> Result<Resolved<'a>, ConnectError> {
    resolvers.truncate(MAX_RESOLVERS);
    let mut verdict = ConnectError::NoRoute(name.to_owned());
    let count = resolvers.len();
    for (index, resolver) in resolvers.into_iter().enumerate() {
        let time = || patience.resolve(index + 1 < count, opener.round_trip(resolver));
        let answer = match own {
            Some(own) if own.id() == resolver => ask_own(own, name, families, time()).await,
            _ => ask(opener, resolver, name, families, time).await,
        };
        verdict = match answer {
            Ok(mut resolved) => {
                resolved.await_preferred().await;
                return Ok(resolved);
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

impl Resolved<'_> {
    /// IPv4 alone gives IPv6 a moment, if it is still waited for (RFC 8305, 3).
    async fn await_preferred(&mut self) {
        if !self.addresses.iter().all(IpAddr::is_ipv4) {
            return;
        }
        if let Some(preferred) = self.late(RESOLUTION_DELAY).await {
            self.addresses.splice(..0, preferred);
        }
    }

    /// The addresses of the family that comes later, at least one, if it comes within `time`.
    pub(super) async fn late(&mut self, time: Duration) -> Option<Vec<IpAddr>> {
        let late = self.late.as_mut()?;
        let came = within(time, late.next()).await?;
        self.late = None;
        came.filter(|addresses| !addresses.is_empty())
    }
}

async fn ask_own<'a>(
    own: &'a OwnExit,
    name: &str,
    families: Families,
    time: Duration,
) -> Result<Resolved<'a>, Silence> {
    let resolving = own.exit.resolve(own.id(), name, families);
    let mut parts = resolving.map_err(|_| Silence::Failed)?;
    match within(time, parts.next()).await {
        None => Err(Silence::TimedOut),
        Some(None) => Err(Silence::NotFound),
        Some(Some(Err(_))) => Err(Silence::Failed),
        Some(Some(Ok(first))) => {
            let rest = parts.filter_map(|part| ready(part.ok().map(|part| part.addresses)));
            Ok(Resolved {
                addresses: first.addresses,
                late: first.more.then(|| rest.boxed()),
            })
        }
    }
}

async fn ask<'a, T: OpenStream>(
    opener: &T,
    resolver: AgentId,
    name: &str,
    families: Families,
    time: impl Fn() -> Duration,
) -> Result<Resolved<'a>, Silence> {
    let exchange = async {
        let mut stream = opener.open(resolver).await.map_err(|_| Silence::Mesh)?;
        let request = StreamRequest::Resolve(ResolveRequest {
            name: name.to_owned(),
            useful: Some(useful(families)),
        });
        let sent = send_message(&mut stream.send, &request).await;
        sent.map_err(|_| Silence::Mesh)?;
        let reply = receive_message::<ResolveReply>(&mut stream.recv).await;
        Ok((reply.map_err(|_| Silence::Mesh)?, stream))
    };
    let answer = patiently(time, exchange);
    let (reply, stream) = tokio::select! {
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
    let late = (reply.more == Some(true)).then(|| stream::once(second(stream)).boxed());
    Ok(Resolved {
        addresses: reply.addresses,
        late,
    })
}

/// The addresses of a resolver's second reply; none if it does not come.
async fn second(mut stream: ExitStream) -> Vec<IpAddr> {
    let reply = receive_message::<ResolveReply>(&mut stream.recv).await;
    reply.map(|reply| reply.addresses).unwrap_or_default()
}

fn useful(families: Families) -> u8 {
    let of = |family, bit| if families.is_useful(family) { bit } else { 0 };
    of(Family::V4, USEFUL_V4) | of(Family::V6, USEFUL_V6)
}

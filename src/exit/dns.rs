//! Names of targets to addresses, by the configured servers or the system's configuration.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use prometheus_client::metrics::counter::Counter;
use tokio::time::timeout;

use super::metrics::Metrics;
use crate::config;
use crate::identity::AgentId;
use crate::limit::Share;
use crate::names::{Lookup, LookupError, Part, RESOLUTION_DELAY, Resolver, SystemFiles};

/// Why a name was not resolved. A name without addresses is no error.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("no resolver answered for {name} within {} ms", .timeout.as_millis())]
    TimedOut { name: String, timeout: Duration },
    #[error("resolving {name} failed: {reason}")]
    Failed { name: String, reason: String },
    #[error("resolving {name} was refused: too many of limits.dns_queries are under way")]
    Busy { name: String },
    #[error("resolving {name} was refused: this exit is draining")]
    Draining { name: String },
}

impl ResolveError {
    /// How the query ended, for the metrics.
    pub(super) fn result(&self) -> &'static str {
        match self {
            Self::TimedOut { .. } => "timed_out",
            Self::Failed { .. } => "failed",
            Self::Busy { .. } => "busy",
            Self::Draining { .. } => "draining",
        }
    }
}

impl From<LookupError> for ResolveError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::TimedOut { name, timeout } => Self::TimedOut { name, timeout },
            LookupError::Failed { name, reason } => Self::Failed { name, reason },
        }
    }
}

/// Whom an exit with this section asks for names.
pub fn resolver(config: &config::Dns) -> Resolver {
    if config.servers.is_empty() {
        Resolver::of_system(&SystemFiles::default(), config.timeout, true)
    } else {
        Resolver::of_servers(&config.servers, config.timeout)
    }
}

/// A name being resolved: a stream like [`Lookup`], one of `limits.dns_queries` until it is dropped.
#[derive(Debug)]
pub struct Resolving<'a> {
    lookup: Lookup,
    _place: Share<AgentId>,
    metrics: &'a Metrics,
    is_counted: bool,
}

impl<'a> Resolving<'a> {
    pub(super) fn new(lookup: Lookup, place: Share<AgentId>, metrics: &'a Metrics) -> Self {
        Self {
            lookup,
            _place: place,
            metrics,
            is_counted: false,
        }
    }

    /// The addresses of both families, for one answer: the later one gets RFC 8305's Resolution Delay.
    /// Empty: there are none.
    pub(super) async fn whole(mut self) -> Result<Vec<IpAddr>, ResolveError> {
        let Some(first) = self.next().await else {
            return Ok(Vec::new());
        };
        let mut first = first?;
        if first.more
            && let Ok(Some(Ok(late))) = timeout(RESOLUTION_DELAY, self.next()).await
        {
            first.addresses.extend(late.addresses);
        }
        Ok(first.addresses)
    }

    fn count_once(&mut self, counter: impl FnOnce(&Metrics) -> Counter) {
        if !std::mem::replace(&mut self.is_counted, true) {
            counter(self.metrics).inc();
        }
    }
}

impl Stream for Resolving<'_> {
    type Item = Result<Part, ResolveError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = std::task::ready!(self.lookup.poll_next_unpin(cx));
        let item = item.map(|part| part.map_err(ResolveError::from));
        self.count_once(|metrics| match &item {
            Some(Ok(_)) => metrics.resolved("found"),
            Some(Err(error)) => metrics.resolved(error.result()),
            None => metrics.resolved("not_found"),
        });
        Poll::Ready(item)
    }
}

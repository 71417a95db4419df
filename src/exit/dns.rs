//! Names to addresses, by the configured servers or the system's configuration.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tracing::warn;

use crate::config;

/// How long one family's answer waits for the other's. RFC 8305's Resolution Delay, so that a
/// server that ignores AAAA costs 50 ms and not its whole time-out.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Queries per server within `dns.timeout`: a lost datagram gets a second chance.
const TRIES: u32 = 2;

/// Why a name was not resolved. A name without addresses is no error.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("no resolver answered for {name} within {} ms", .timeout.as_millis())]
    TimedOut { name: String, timeout: Duration },
    #[error("resolving {name} failed: {source}")]
    Failed { name: String, source: NetError },
    #[error("resolving {name} was refused: limits.dns_queries are under way")]
    Busy { name: String },
    #[error("resolving {name} was refused: this exit is draining")]
    Draining { name: String },
}

/// The exit's resolver.
#[derive(Debug)]
pub(super) struct Resolver {
    /// The error: why there is none. Kept, because an exit may well live without names.
    inner: Result<TokioResolver, NetError>,
    timeout: Duration,
    /// Asked by servers of its own, a name is taken as fully qualified.
    qualified: bool,
}

impl Resolver {
    pub(super) fn new(config: &config::Dns, max_queries: usize) -> Self {
        let inner = build(config, max_queries);
        if let Err(error) = &inner {
            warn!(%error, "no resolver: set exit.dns.servers, or repair the system's resolver configuration; this exit dials addresses only");
        }
        Self {
            inner,
            timeout: config.timeout,
            qualified: !config.servers.is_empty(),
        }
    }

    /// The addresses of `name`, families in the order of their answers; empty if it has none.
    pub(super) async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let resolver = match &self.inner {
            Ok(resolver) => resolver,
            Err(source) => {
                return Err(ResolveError::Failed {
                    name: name.to_owned(),
                    source: source.clone(),
                });
            }
        };
        let query = if self.qualified {
            format!("{}.", name.trim_end_matches('.'))
        } else {
            name.to_owned()
        };
        let v6 = resolver.ipv6_lookup(query.clone());
        let v4 = resolver.ipv4_lookup(query);
        let both = first_family(
            async { addresses(v6.await) },
            async { addresses(v4.await) },
            RESOLUTION_DELAY,
        );
        match tokio::time::timeout(self.timeout, both).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(NetError::Timeout)) | Err(_) => Err(ResolveError::TimedOut {
                name: name.to_owned(),
                timeout: self.timeout,
            }),
            Ok(Err(source)) => Err(ResolveError::Failed {
                name: name.to_owned(),
                source,
            }),
        }
    }
}

fn build(config: &config::Dns, max_queries: usize) -> Result<TokioResolver, NetError> {
    let mut builder = if config.servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = config.servers.iter().copied().map(server).collect();
        let servers = ResolverConfig::from_name_servers(servers);
        let mut builder =
            TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        builder
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.timeout = config.timeout / TRIES;
    options.attempts = TRIES as usize - 1;
    // Two queries, A and AAAA, for each name under way.
    options.max_active_requests = max_queries.saturating_mul(2);
    builder.build()
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
        .into_iter()
        .map(|mut connection| {
            connection.port = address.port();
            connection
        });
    NameServerConfig::new(address.ip(), true, connections.collect())
}

/// An answer's addresses; "no such name" and "no such record" are empty answers.
fn addresses(answer: Result<Lookup, NetError>) -> Result<Vec<IpAddr>, NetError> {
    match answer {
        Ok(lookup) => Ok(lookup
            .answers()
            .iter()
            .filter_map(|record| record.data.ip_addr())
            .collect()),
        Err(error) if error.is_no_records_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Both families' addresses, the quicker family first; once one has addresses, the other gets
/// `delay` more. An error counts only if neither has any.
async fn first_family<E>(
    one: impl Future<Output = Result<Vec<IpAddr>, E>>,
    two: impl Future<Output = Result<Vec<IpAddr>, E>>,
    delay: Duration,
) -> Result<Vec<IpAddr>, E> {
    async fn rest<E>(
        first: Result<Vec<IpAddr>, E>,
        other: impl Future<Output = Result<Vec<IpAddr>, E>>,
        delay: Duration,
    ) -> Result<Vec<IpAddr>, E> {
        match first {
            Ok(mut found) if !found.is_empty() => {
                if let Ok(Ok(more)) = tokio::time::timeout(delay, other).await {
                    found.extend(more);
                }
                Ok(found)
            }
            nothing => match other.await {
                Ok(found) if found.is_empty() => nothing,
                found => found,
            },
        }
    }
    let (mut one, mut two) = (pin!(one), pin!(two));
    tokio::select! {
        biased;
        first = &mut one => rest(first, two, delay).await,
        first = &mut two => rest(first, one, delay).await,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    type Answer = Result<Vec<IpAddr>, &'static str>;

    fn found(texts: &[&str]) -> Answer {
        Ok(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[tokio::test]
    async fn one_family_is_enough_when_the_other_stays_silent() {
        let delay = Duration::from_millis(1);
        let answer = first_family(pending::<Answer>(), ready(found(&["10.0.0.1"])), delay);
        assert_eq!(answer.await, found(&["10.0.0.1"]));
    }

    #[tokio::test]
    async fn both_families_are_joined_and_errors_count_only_alone() {
        let delay = Duration::from_secs(3_600);
        let cases: [(Answer, Answer, Answer); 5] = [
            (
                found(&["::1"]),
                found(&["10.0.0.1"]),
                found(&["::1", "10.0.0.1"]),
            ),
            (Err("broken"), found(&["10.0.0.1"]), found(&["10.0.0.1"])),
            (found(&[]), found(&["10.0.0.1"]), found(&["10.0.0.1"])),
            (Err("broken"), found(&[]), Err("broken")),
            (found(&[]), found(&[]), found(&[])),
        ];
        for (v6, v4, expected) in cases {
            assert_eq!(first_family(ready(v6), ready(v4), delay).await, expected);
        }
    }
}

//! Names to addresses, by configured servers or as the system is configured: for what an exit dials,
//! for its health checks, and for peers.
//!
//! ```text
//!  Resolver ─► hosts file (Watched) ─► search list ─► Servers ─► UDP, TCP
//!     │                                   pure         order and fallback
//!     └─► Lookup: addresses by family, as they come ─► race: RFC 8305 over them
//! ```
//!
//! Our own stub resolver over hickory's messages: what a bad server, a late family and a search list
//! do to a connection is decided here ([why](../../docs/adr/0020-a-stub-resolver-of-our-own.md)).
//!
//! Tasks: one per [`Lookup`], which ends with it and may be aborted.

mod cache;
mod connect;
mod exchange;
mod families;
mod flights;
mod hosts;
mod lookup;
mod message;
mod name;
mod race;
mod resolv_conf;
mod resolver;
mod search;
mod servers;
mod watched;

use std::net::SocketAddr;
use std::time::Duration;

pub use connect::{connect, refuse_self};
pub use families::{Families, host_families};
pub use lookup::{Lookup, Part, RESOLUTION_DELAY};
pub use message::Family;
pub use name::{is_name, without_dot};
pub use race::{Failure, SPARE_ATTEMPTS, STAGGER, race};
pub use resolver::{Resolver, SystemFiles};
pub use servers::SPARE_QUERIES;

/// Why a name was not looked up. A name without addresses is no error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    #[error("no resolver answered for {name} within {} ms", .timeout.as_millis())]
    TimedOut { name: String, timeout: Duration },
    #[error("resolving {name} failed: {reason}")]
    Failed { name: String, reason: String },
}

/// The name servers that the system's `files` name now. A file that cannot be read names what an empty
/// one does.
pub fn system_servers(files: &SystemFiles) -> Vec<SocketAddr> {
    let text = std::fs::read_to_string(&files.resolv_conf).unwrap_or_default();
    let interface = |name: &str| nix::net::if_::if_nametoindex(name).ok();
    resolv_conf::parse(&text, "", interface).servers
}

/// Whether `server` answers a question at all, a refusal too; the error is for people. Waits for ever
/// on a silent one.
pub async fn is_there(server: SocketAddr) -> Result<(), String> {
    use exchange::{Manner, Trouble, ask};
    let question = message::Question {
        name: hickory_proto::rr::Name::root(),
        records: hickory_proto::rr::RecordType::NS,
    };
    let manner = Manner {
        edns: true,
        tcp: false,
    };
    match ask(server, &question, manner).await {
        Ok(_) | Err(Trouble::Refused { .. } | Trouble::Lame(_)) => Ok(()),
        Err(trouble) => Err(trouble.to_string()),
    }
}

/// One family of one absolute name: from the cache, from a question under way, or by asking.
async fn query(
    name: &hickory_proto::rr::Name,
    family: Family,
    asked: &lookup::Asked,
) -> Result<message::Answer, exchange::Trouble> {
    let cached = asked
        .cache
        .as_ref()
        .and_then(|cache| cache.get(name, family));
    if let Some(answer) = cached {
        return Ok(answer);
    }
    let key = (name.clone(), family == Family::V6);
    asked.flights.join(key, ask(name, family, asked)).await
}

/// One family of one absolute name, by asking, along its chain of aliases.
async fn ask(
    name: &hickory_proto::rr::Name,
    family: Family,
    asked: &lookup::Asked,
) -> Result<message::Answer, exchange::Trouble> {
    let mut question = message::Question {
        name: name.clone(),
        records: family.records(),
    };
    let mut ttl = Duration::MAX;
    for _ in 0..message::MAX_CHAIN {
        let mut answer = asked.servers.query(&question).await?;
        ttl = ttl.min(answer.ttl);
        if let Some(next) = answer.next.take() {
            question.name = next;
            continue;
        }
        answer.ttl = ttl;
        if let Some(cache) = &asked.cache {
            cache.insert(name, family, &answer);
        }
        return Ok(answer);
    }
    Err(exchange::Trouble::Chain)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

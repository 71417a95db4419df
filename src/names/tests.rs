//! Whole lookups against scripted servers and files.

mod fallback;
mod families;
mod system;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;

use super::testing::{Act, Scripted, after, ips};
use super::*;
use crate::clock;

/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// All that a lookup tells, sorted.
async fn all(mut lookup: Lookup) -> Result<Vec<String>, LookupError> {
    let mut found = Vec::new();
    while let Some(part) = timeout(PATIENCE, lookup.next()).await.unwrap() {
        found.extend(part?.addresses);
    }
    found.sort();
    Ok(found.iter().map(IpAddr::to_string).collect())
}

fn resolver(servers: &[&Scripted]) -> Resolver {
    let servers: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    Resolver::of_servers(&servers, Duration::from_secs(4))
}

async fn ask(resolver: &Resolver, name: &str) -> Result<Vec<String>, LookupError> {
    all(resolver.lookup(name, Families::BOTH)).await
}

//! What had a route lately: a destination whose last exit was lost a moment ago may have one again in
//! a moment, and a request for it is worth holding.
//!
//! Losses are remembered and not former tables: a table of 100,000 prefixes that is replaced ten times
//! a second would be held a hundred times.

#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use prefix_trie::joint::map::JointPrefixMap;

use crate::identity::DomainPattern;

use super::route_table::{Destination, RouteTable};

/// How long a loss is remembered. An agent that restarts is back within a second, one that stood
/// still at its first heartbeat; what is away for longer is gone for now.
pub const LATELY: Duration = Duration::from_secs(10);

/// How long nobody else is asked for a name after its domain route was withdrawn or has expired. Who
/// withdraws it for good knows; who lost it, by a failed check or a long outage, mostly has it back.
const OWNED: Duration = Duration::from_secs(600);

/// What was lost within [`LATELY`], and whose names were somebody's within [`OWNED`].
#[derive(Debug)]
pub struct Lately {
    /// Most losses remembered; the oldest are forgotten first.
    limit: usize,
    /// When each prefix was last lost.
    prefixes: JointPrefixMap<IpNet, Instant>,
    /// When each domain was last lost.
    domains: BTreeMap<DomainPattern, Instant>,
    /// When each domain was last not advertised any more.
    owned: BTreeMap<DomainPattern, Instant>,
    /// When the last agent that resolves names was lost.
    resolvers: Option<Instant>,
    /// Every loss in order, also those that a later one of the same destination has overtaken.
    losses: VecDeque<(Instant, Destination)>,
}

impl Lately {
    /// Nothing was lost yet.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            prefixes: JointPrefixMap::new(),
            domains: BTreeMap::new(),
            owned: BTreeMap::new(),
            resolvers: None,
            losses: VecDeque::new(),
        }
    }

    /// `after` takes the place of `before`.
    pub fn handle_change(&mut self, now: Instant, before: &RouteTable, after: &RouteTable) {
        self.forget(now);
        after.lost_of(before, |destination| self.remember(now, destination));
        self.keep_owned(now, before, after);
        if before.has_resolvers() && !after.has_resolvers() {
            self.resolvers = Some(now);
        }
    }

    /// Whether a prefix that contains `ip` was lost lately.
    pub fn had_ip(&self, now: Instant, ip: IpAddr) -> bool {
        let host = IpNet::from(ip.to_canonical());
        let mut covering = self.prefixes.cover_values(&host);
        covering.any(|lost| is_lately(now, *lost))
    }

    /// Whether a domain that covers `name` was lost lately.
    pub fn had_domain(&self, now: Instant, name: &str) -> bool {
        covers(&self.domains, name, |lost| is_lately(now, lost))
    }

    /// Whether somebody advertised a domain that covers `name` until a while ago.
    pub fn owned_domain(&self, now: Instant, name: &str) -> bool {
        covers(&self.owned, name, |withdrawn| {
            now.saturating_duration_since(withdrawn) < OWNED
        })
    }

    /// Whether the last agent that resolves names was lost lately.
    pub fn had_resolvers(&self, now: Instant) -> bool {
        self.resolvers.is_some_and(|lost| is_lately(now, lost))
    }

    /// Notes the domains that nobody advertises any more; at the limit the oldest are forgotten.
    fn keep_owned(&mut self, now: Instant, before: &RouteTable, after: &RouteTable) {
        let (before, after) = (before.prefix_table(), after.prefix_table());
        if std::sync::Arc::ptr_eq(before, after) {
            return;
        }
        self.owned.retain(|domain, withdrawn| {
            !after.advertises(domain) && now.saturating_duration_since(*withdrawn) < OWNED
        });
        let gone = before.domains().map(|(domain, _)| domain);
        for domain in gone.filter(|domain| !after.advertises(domain)) {
            self.owned.insert(domain.clone(), now);
        }
        while self.owned.len() > self.limit
            && let Some((oldest, _)) = self.owned.iter().min_by_key(|(_, withdrawn)| **withdrawn)
        {
            let oldest = oldest.clone();
            self.owned.remove(&oldest);
        }
    }

    fn remember(&mut self, now: Instant, destination: Destination) {
        if self.losses.len() >= self.limit {
            self.forget_oldest();
        }
        match &destination {
            Destination::Prefix(prefix) => drop(self.prefixes.insert(*prefix, now)),
            Destination::Domain(domain) => drop(self.domains.insert(domain.clone(), now)),
        }
        self.losses.push_back((now, destination));
    }

    fn forget(&mut self, now: Instant) {
        while let Some((lost, _)) = self.losses.front()
            && !is_lately(now, *lost)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((lost, destination)) = self.losses.pop_front() else {
            return;
        };
        // One that was lost again since is remembered for that.
        match destination {
            Destination::Prefix(prefix) if self.prefixes.get(&prefix) == Some(&lost) => {
                self.prefixes.remove(&prefix);
            }
            Destination::Domain(domain) if self.domains.get(&domain) == Some(&lost) => {
                self.domains.remove(&domain);
            }
            Destination::Prefix(_) | Destination::Domain(_) => {}
        }
    }
}

/// Whether a pattern among `domains` covers `name`, at a time that `counts`.
fn covers(
    domains: &BTreeMap<DomainPattern, Instant>,
    name: &str,
    counts: impl Fn(Instant) -> bool,
) -> bool {
    if domains.is_empty() {
        return false;
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let parents = name.match_indices('.').filter(|&(dot, _)| dot > 0);
    let below = parents.map(|(dot, _)| DomainPattern::Below(name[dot + 1..].to_owned()));
    let mut patterns = below.chain([DomainPattern::Exact(name.clone())]);
    patterns.any(|pattern| domains.get(&pattern).is_some_and(|at| counts(*at)))
}

fn is_lately(now: Instant, lost: Instant) -> bool {
    now.saturating_duration_since(lost) < LATELY
}

#[cfg(test)]
mod tests;

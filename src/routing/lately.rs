//! What had a route lately: a destination whose last exit was lost a moment ago may have one again in
//! a moment, and a request for it is worth holding.
//!
//! Losses are remembered and not former tables: a table of 100,000 prefixes that is replaced ten times
//! a second would be held a hundred times.

#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use prefix_trie::joint::map::JointPrefixMap;

use crate::identity::{AgentId, DomainPattern};

use super::owned::Owned;
use super::prefix_table::ExitRecord;
use super::route_table::{Destination, RouteTable};

/// How long a loss is remembered. An agent that restarts is back within a second, one that stood
/// still at its first heartbeat; what is away for longer is gone for now.
pub const LATELY: Duration = Duration::from_secs(10);

/// Most lost exits remembered; of further ones nobody waits for a name. There are seldom more in a mesh.
const MAX_EXITS: usize = 4_096;

/// What was lost within [`LATELY`], and which names were somebody's until a while ago.
#[derive(Debug)]
pub struct Lately {
    /// Most losses remembered; the oldest are forgotten first.
    limit: usize,
    /// When each prefix was last lost.
    prefixes: JointPrefixMap<IpNet, Instant>,
    /// When each domain was last lost.
    domains: BTreeMap<DomainPattern, Instant>,
    /// What exits do not advertise any more.
    owned: Owned,
    /// When each exit was last lost, what it was, and whether it is our own.
    exits: BTreeMap<AgentId, (Instant, ExitRecord, bool)>,
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
            owned: Owned::default(),
            exits: BTreeMap::new(),
            losses: VecDeque::new(),
        }
    }

    /// `after` takes the place of `before`.
    pub fn handle_change(&mut self, now: Instant, before: &RouteTable, after: &RouteTable) {
        self.forget(now);
        after.lost_of(before, |destination| self.remember(now, destination));
        let (had, has) = (before.prefix_table(), after.prefix_table());
        if !Arc::ptr_eq(had, has) {
            self.owned.handle_change(now, had, has, self.limit);
        }
        self.exits.retain(|_, (lost, ..)| is_lately(now, *lost));
        after.lost_exits_of(before, |exit| {
            if self.exits.len() < MAX_EXITS || self.exits.contains_key(&exit.id) {
                let is_own = exit.id == before.own();
                self.exits.insert(exit.id, (now, exit.clone(), is_own));
            }
        });
    }

    /// Whether a prefix that contains `ip` was lost lately.
    pub fn had_ip(&self, now: Instant, ip: IpAddr) -> bool {
        let host = IpNet::from(ip.to_canonical());
        let mut covering = self.prefixes.cover_values(&host);
        covering.any(|lost| is_lately(now, *lost))
    }

    /// Whether a domain that covers `name` was lost lately.
    pub fn had_domain(&self, now: Instant, name: &str) -> bool {
        !self.domains.is_empty()
            && patterns(name).any(|pattern| {
                let lost = self.domains.get(&pattern);
                lost.is_some_and(|lost| is_lately(now, *lost))
            })
    }

    /// Whether somebody advertised a domain that covers `name` until a while ago.
    pub fn owned_domain(&self, now: Instant, name: &str) -> bool {
        !self.owned.is_empty() && patterns(name).any(|pattern| self.owned.holds(now, &pattern))
    }

    /// Whether an exit was lost lately that would be asked for the address of `name`: one that is
    /// `named`, or without names one whose certificate lets it resolve the name.
    pub fn had_resolver(&self, now: Instant, name: &str, named: &[AgentId]) -> bool {
        let mut exits = self.exits.values();
        exits.any(|(lost, exit, is_own)| {
            is_lately(now, *lost) && exit.is_asked(*is_own, name, named)
        })
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

/// Every pattern that covers `name`.
fn patterns(name: &str) -> impl Iterator<Item = DomainPattern> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let parents = name.match_indices('.').filter(|&(dot, _)| dot > 0);
    let below = parents.map(|(dot, _)| DomainPattern::Below(name[dot + 1..].to_owned()));
    let below: Vec<DomainPattern> = below.collect();
    below.into_iter().chain([DomainPattern::Exact(name)])
}

fn is_lately(now: Instant, lost: Instant) -> bool {
    now.saturating_duration_since(lost) < LATELY
}

#[cfg(test)]
mod tests;

//! Destinations that were lost lately, each on the account of an exit that offered it: who loses without
//! end pushes out its own.

#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use prefix_trie::joint::map::JointPrefixMap;

use crate::identity::{AgentId, DomainPattern};

use super::destination::Destination;

/// How long a loss is remembered. An agent that restarts is back within a second, one that stood
/// still at its first heartbeat; what is away for longer is gone for now.
pub const LATELY: Duration = Duration::from_secs(10);

/// A destination's last loss: when, and on whose account.
type Loss = (Instant, AgentId);

/// Losses of the last moments. Noting and forgetting one costs a few look-ups, however many there are.
#[derive(Debug, Default)]
pub(super) struct Losses {
    prefixes: JointPrefixMap<IpNet, Loss>,
    domains: BTreeMap<DomainPattern, Loss>,
    /// Every loss of each origin in order, also those that a later one of the same destination has
    /// overtaken.
    origins: BTreeMap<AgentId, VecDeque<(Instant, Destination)>>,
    /// Origins by how many they have.
    sizes: BTreeSet<(usize, AgentId)>,
    count: usize,
}

impl Losses {
    /// Notes a loss of what `origins` offered, and forgets one of whoever has the most if that makes
    /// more than `limit`. It goes on the account of the origin that has the fewest: nobody who offers
    /// the same can make it be forgotten sooner.
    pub(super) fn note(
        &mut self,
        now: Instant,
        destination: Destination,
        origins: impl Iterator<Item = AgentId>,
        limit: usize,
    ) {
        let size = |origin: &AgentId| self.origins.get(origin).map_or(0, VecDeque::len);
        let Some(origin) = origins.min_by_key(|origin| (size(origin), *origin)) else {
            return;
        };
        let loss = (now, origin);
        match &destination {
            Destination::Prefix(prefix) => drop(self.prefixes.insert(*prefix, loss)),
            Destination::Domain(domain) => drop(self.domains.insert(domain.clone(), loss)),
        }
        self.change(origin, |losses| losses.push_back((now, destination)));
        self.count += 1;
        if self.count > limit
            && let Some(&(_, most)) = self.sizes.last()
        {
            self.forget_oldest(most);
        }
    }

    /// Forgets what was lost too long ago.
    pub(super) fn forget(&mut self, now: Instant) {
        let origins: Vec<AgentId> = self.origins.keys().copied().collect();
        for origin in origins {
            while let Some((lost, _)) = self.origins.get(&origin).and_then(VecDeque::front)
                && !is_lately(now, *lost)
            {
                self.forget_oldest(origin);
            }
        }
    }

    /// Whether a prefix that contains `ip` was lost lately.
    pub(super) fn had_ip(&self, now: Instant, ip: IpAddr) -> bool {
        let host = IpNet::from(ip.to_canonical());
        let mut covering = self.prefixes.cover_values(&host);
        covering.any(|(lost, _)| is_lately(now, *lost))
    }

    /// Whether a domain that covers `name` was lost lately.
    pub(super) fn had_domain(&self, now: Instant, name: &str) -> bool {
        let had = |pattern| self.domains.get(&pattern);
        !self.domains.is_empty()
            && patterns(name)
                .filter_map(had)
                .any(|(lost, _)| is_lately(now, *lost))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.count.max(self.prefixes.len()).max(self.domains.len())
    }

    fn forget_oldest(&mut self, origin: AgentId) {
        let mut oldest = None;
        self.change(origin, |losses| oldest = losses.pop_front());
        let Some((lost, destination)) = oldest else {
            return;
        };
        self.count -= 1;
        // One that was lost again since is remembered for that.
        let loss = (lost, origin);
        match destination {
            Destination::Prefix(prefix) if self.prefixes.get(&prefix) == Some(&loss) => {
                self.prefixes.remove(&prefix);
            }
            Destination::Domain(domain) if self.domains.get(&domain) == Some(&loss) => {
                self.domains.remove(&domain);
            }
            Destination::Prefix(_) | Destination::Domain(_) => {}
        }
    }

    fn change(&mut self, origin: AgentId, how: impl FnOnce(&mut VecDeque<(Instant, Destination)>)) {
        let losses = self.origins.entry(origin).or_default();
        self.sizes.remove(&(losses.len(), origin));
        how(losses);
        if losses.is_empty() {
            self.origins.remove(&origin);
        } else {
            self.sizes.insert((losses.len(), origin));
        }
    }
}

/// Every pattern that covers `name`.
pub(super) fn patterns(name: &str) -> impl Iterator<Item = DomainPattern> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let parents = name.match_indices('.').filter(|&(dot, _)| dot > 0);
    let below = parents.map(|(dot, _)| DomainPattern::Below(name[dot + 1..].to_owned()));
    let below: Vec<DomainPattern> = below.collect();
    below.into_iter().chain([DomainPattern::Exact(name)])
}

pub(super) fn is_lately(now: Instant, lost: Instant) -> bool {
    now.saturating_duration_since(lost) < LATELY
}

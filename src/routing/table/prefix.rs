//! Who advertises which prefix and domain: the half of the route table that changes with routes
//! alone. Knows nothing of reachability.

#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use prefix_trie::joint::map::JointPrefixMap;

use crate::identity::{AgentId, DomainPattern, Grants, NamePattern};
use crate::wire::RouteAdv;

use super::destination::Destination;

/// One exit that advertises anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExitRecord {
    pub(super) id: AgentId,
    /// It answers name queries with resolvers that its file names.
    pub(super) resolves: bool,
    /// The names that its certificate lets it resolve for others; `None`: all.
    names: Option<Vec<NamePattern>>,
}

/// One exit's offer of one prefix or domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Index of the exit.
    pub(super) exit: u32,
    /// The exit's base metric.
    pub(super) metric: u32,
    /// Most hops at which the offer may be taken.
    pub(super) max_hops: u8,
}

/// A prefix or domain, and where its offers lie.
#[derive(Debug)]
struct Group<K> {
    key: K,
    entries: Range<usize>,
}

/// What all exits advertise, as of one moment.
#[derive(Debug, Default)]
pub struct PrefixTable {
    /// Sorted by id.
    exits: Vec<ExitRecord>,
    /// Offers, those of one group together and sorted by exit.
    entries: Vec<Entry>,
    /// Sorted by prefix.
    prefixes: Vec<Group<IpNet>>,
    /// Sorted by pattern.
    domains: Vec<Group<DomainPattern>>,
    /// Index into `prefixes`.
    trie: JointPrefixMap<IpNet, usize>,
    /// Index into `domains` by the name of exact patterns.
    exact: HashMap<String, usize>,
    /// Index into `domains` by the parent of `*.` patterns.
    below: HashMap<String, usize>,
    unreadable_domains: usize,
}

/// What an exit advertises, being collected: lists of (key, offer).
#[derive(Default)]
struct Offers {
    prefixes: Vec<(IpNet, Entry)>,
    domains: Vec<(DomainPattern, Entry)>,
}

impl ExitRecord {
    /// Whether its certificate lets it resolve `name` for others.
    fn may_resolve(&self, name: &str) -> bool {
        let names = self.names.as_ref();
        names.is_none_or(|names| names.iter().any(|names| names.matches(name)))
    }

    /// Whether our agent, which it may itself be, would ask it for the address of `name`: it is
    /// `named`, or nobody is and its certificate lets it resolve the name.
    pub(super) fn is_asked(&self, is_own: bool, name: &str, named: &[AgentId]) -> bool {
        match named {
            [] if is_own => self.resolves,
            [] => self.may_resolve(name),
            named => named.contains(&self.id) && (self.resolves || !is_own),
        }
    }
}

impl PrefixTable {
    /// Builds the table of exits whose certificates restrict nothing: see
    /// [`build_granted`](Self::build_granted).
    pub fn build<'a>(routes: impl Iterator<Item = &'a RouteAdv>) -> Self {
        Self::build_granted(routes.map(|route| (route, None)))
    }

    /// Builds the table from the current route fragments of all origins. Of several offers of one
    /// prefix by one exit the lowest metric counts. Prefixes are in canonical form, as the decoder and
    /// the file demand. Beside each fragment stand the grants of its certificate, which have allowed
    /// its routes already.
    pub fn build_granted<'a>(
        routes: impl Iterator<Item = (&'a RouteAdv, Option<&'a Grants>)>,
    ) -> Self {
        let advs: Vec<(&RouteAdv, Option<&Grants>)> = routes
            .filter(|(adv, _)| {
                tells_resolves(adv) || !adv.prefixes.is_empty() || !adv.domains.is_empty()
            })
            .collect();
        let mut exits: BTreeMap<AgentId, ExitRecord> = BTreeMap::new();
        for (adv, grants) in &advs {
            let id = adv.stamp.origin;
            // What holds for the exit as a whole is said with its first fragment.
            let resolves = tells_resolves(adv);
            let names = grants.and_then(names_of);
            let record = exits.entry(id).or_insert_with(|| ExitRecord {
                id,
                resolves,
                names: names.clone(),
            });
            if adv.fragment == 0 {
                (record.resolves, record.names) = (resolves, names);
            }
        }
        let mut table = Self {
            exits: exits.into_values().collect(),
            ..Self::default()
        };
        let mut offers = Offers::default();
        for (adv, _) in &advs {
            table.collect(adv, &mut offers);
        }
        table.prefixes = group(offers.prefixes, &mut table.entries);
        table.domains = group(offers.domains, &mut table.entries);
        table.index();
        table
    }

    /// Prefixes that anybody advertises, reachable or not.
    #[cfg(test)]
    pub(crate) fn prefix_count(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether anybody advertises an IPv4 prefix, and an IPv6 prefix, reachable or not.
    pub fn families(&self) -> (bool, bool) {
        // IPv4 sorts first.
        let is_v4 = |group: &Group<IpNet>| matches!(group.key, IpNet::V4(_));
        let v4 = self.prefixes.first().is_some_and(is_v4);
        let v6 = self.prefixes.last().is_some_and(|group| !is_v4(group));
        (v4, v6)
    }

    /// Domains that anybody advertises, reachable or not.
    #[cfg(test)]
    pub(crate) fn domain_count(&self) -> usize {
        self.domains.len()
    }

    /// Advertised domains that are no domain patterns and were left out.
    pub fn unreadable_domains(&self) -> usize {
        self.unreadable_domains
    }

    /// How many prefixes and domains each exit offers.
    pub fn offers(&self) -> BTreeMap<AgentId, usize> {
        let mut offers = BTreeMap::new();
        for entry in &self.entries {
            *offers.entry(self.exit(entry)).or_default() += 1;
        }
        offers
    }

    pub(super) fn exits(&self) -> &[ExitRecord] {
        &self.exits
    }

    pub(super) fn exit(&self, entry: &Entry) -> AgentId {
        self.exits[entry.exit as usize].id
    }

    /// Every prefix with its offers, in order.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = (IpNet, &[Entry])> {
        self.prefixes
            .iter()
            .map(|group| (group.key, &self.entries[group.entries.clone()]))
    }

    /// Every domain with its offers, in order.
    pub(super) fn domains(&self) -> impl Iterator<Item = (&DomainPattern, &[Entry])> {
        self.domains
            .iter()
            .map(|group| (&group.key, &self.entries[group.entries.clone()]))
    }

    /// What this exit advertised with its advertisements; `None`: nothing.
    pub(super) fn record(&self, exit: AgentId) -> Option<(usize, &ExitRecord)> {
        let at = self
            .exits
            .binary_search_by_key(&exit, |exit| exit.id)
            .ok()?;
        Some((at, &self.exits[at]))
    }

    /// The domains that exits advertised `before` and do not any more, reachable or not.
    pub(super) fn withdrawn_domains<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (&'a DomainPattern, AgentId)> {
        before.domains().flat_map(move |(pattern, entries)| {
            let now = entries_of(&self.domains, pattern);
            let now = now.map_or(&[][..], |entries| &self.entries[entries]);
            // The offers of a group are sorted by exit, and exits by id.
            let offers =
                |exit: &AgentId| now.binary_search_by_key(exit, |now| self.exit(now)).is_ok();
            let exits = entries.iter().map(|entry| before.exit(entry));
            let gone = exits.filter(move |exit| !offers(exit));
            gone.map(move |exit| (pattern, exit))
        })
    }

    /// The offers of one destination; none if nobody advertises it.
    pub(super) fn offers_of(&self, destination: &Destination) -> &[Entry] {
        let entries = match destination {
            Destination::Prefix(prefix) => entries_of(&self.prefixes, prefix),
            Destination::Domain(pattern) => entries_of(&self.domains, pattern),
        };
        entries.map_or(&[], |entries| &self.entries[entries])
    }

    /// The prefixes that contain `ip`, longest first. An IPv4-mapped address is taken as IPv4.
    pub(super) fn covering(&self, ip: IpAddr) -> Vec<(IpNet, &[Entry])> {
        let host = IpNet::from(ip.to_canonical());
        let mut covering: Vec<(IpNet, &[Entry])> = self
            .trie
            .cover_values(&host)
            .map(|&at| &self.prefixes[at])
            .map(|group| (group.key, &self.entries[group.entries.clone()]))
            .collect();
        covering.reverse();
        covering
    }

    /// The patterns that match `name`, most specific first: exact, then the longest wildcard.
    pub(super) fn matching(&self, name: &str) -> Vec<(&DomainPattern, &[Entry])> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let parents = name
            .match_indices('.')
            .filter(|&(dot, _)| dot > 0)
            .filter_map(|(dot, _)| self.below.get(&name[dot + 1..]));
        self.exact
            .get(&name)
            .into_iter()
            .chain(parents)
            .map(|&at| &self.domains[at])
            .map(|group| (&group.key, &self.entries[group.entries.clone()]))
            .collect()
    }

    fn collect(&mut self, adv: &RouteAdv, offers: &mut Offers) {
        let exit = self
            .exits
            .binary_search_by_key(&adv.stamp.origin, |exit| exit.id)
            .expect("every origin was listed");
        let entry = |metric| Entry {
            exit: exit as u32,
            metric,
            max_hops: adv.stamp.max_hops,
        };
        let prefixes = adv.prefixes.iter();
        offers
            .prefixes
            .extend(prefixes.map(|route| (route.prefix, entry(route.metric))));
        for text in &adv.domains {
            match text.parse() {
                Ok(pattern) => offers.domains.push((pattern, entry(0))),
                Err(_) => self.unreadable_domains += 1,
            }
        }
    }

    fn index(&mut self) {
        for (at, group) in self.prefixes.iter().enumerate() {
            self.trie.insert(group.key, at);
        }
        for (at, group) in self.domains.iter().enumerate() {
            match &group.key {
                DomainPattern::Exact(name) => self.exact.insert(name.clone(), at),
                DomainPattern::Below(parent) => self.below.insert(parent.clone(), at),
            };
        }
    }
}

fn entries_of<K: Ord>(groups: &[Group<K>], key: &K) -> Option<Range<usize>> {
    let at = groups.binary_search_by(|group| group.key.cmp(key)).ok()?;
    Some(groups[at].entries.clone())
}

/// The names that these grants let an exit resolve for others; `None`: all.
fn names_of(grants: &Grants) -> Option<Vec<NamePattern>> {
    let all = grants.unrestricted || grants.resolves.contains(&NamePattern::Any);
    (!all).then(|| grants.resolves.clone())
}

/// What an exit says of itself as a whole counts in its first fragment.
fn tells_resolves(adv: &RouteAdv) -> bool {
    adv.fragment == 0 && adv.resolves
}

/// Sorts offers by key and exit, drops an exit's dearer duplicates, and appends them to `entries`.
fn group<K: Ord>(mut offers: Vec<(K, Entry)>, entries: &mut Vec<Entry>) -> Vec<Group<K>> {
    offers.sort_unstable_by(|(a, x), (b, y)| {
        a.cmp(b)
            .then_with(|| (x.exit, x.metric).cmp(&(y.exit, y.metric)))
    });
    offers.dedup_by(|(b, y), (a, x)| a == b && x.exit == y.exit);
    let mut groups: Vec<Group<K>> = Vec::new();
    for (key, entry) in offers {
        let at = entries.len();
        entries.push(entry);
        match groups.last_mut() {
            Some(last) if last.key == key => last.entries.end = at + 1,
            _ => groups.push(Group {
                key,
                entries: at..at + 1,
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests;

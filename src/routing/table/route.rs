//! The route table: which exits serve a destination, and the paths there.
//!
//! An immutable snapshot of two halves. When only links change, the shell builds a new
//! [`PathTable`] and joins it with the same [`PrefixTable`]; when only routes change, the other way
//! round.

#![deny(clippy::wildcard_enum_match_arm)]

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use crate::identity::AgentId;
use crate::wire::{LinkAdv, RouteAdv};

use super::candidate::{Candidate, Rank};
use super::destination::Destination;
use super::prefix::{Entry, ExitRecord, PrefixTable};
use crate::routing::paths::avoid::Avoid;
use crate::routing::paths::graph::{Graph, Node};
use crate::routing::paths::path::{Path, PathSet, Standing};
use crate::routing::paths::path_table::PathTable;

/// Most candidates that one lookup returns: more than a connection could ever try, and a bound on
/// what a lookup costs where thousands of exits serve one prefix.
pub const MAX_CANDIDATES: usize = 256;

/// Everything a whole table is built from.
pub struct BuildInput<L, R> {
    pub own: AgentId,
    /// Most hops of a path, 1 to 15.
    pub max_hops: u8,
    /// The current link advertisement of each origin, our own included.
    pub links: L,
    /// The current route fragments of all origins, our own included.
    pub routes: R,
    pub avoid: Avoid,
}

/// Destinations, exits and paths, as of one moment.
#[derive(Debug)]
pub struct RouteTable {
    prefixes: Arc<PrefixTable>,
    paths: Arc<PathTable>,
    /// How to get to each exit of `prefixes`; `None`: not at all.
    reach: Vec<Option<Reach>>,
    counts: OnceLock<Counts>,
}

/// How we get to an exit.
#[derive(Clone, Copy, Debug)]
enum Reach {
    /// We are it.
    Own,
    Via {
        node: Node,
        hops: u8,
        cost: u32,
        rtt_us: u64,
        standing: Standing,
    },
}

/// Sizes of a route table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Prefixes with a live exit.
    pub prefixes: usize,
    /// Domain patterns with a live exit.
    pub domains: usize,
    /// Prefixes and domains that are one agent or link away from being cut; see
    /// [`RouteTable::single_path`].
    pub single_path: usize,
    /// Agents in reach that advertise anything, be it only that they resolve names; our own included.
    pub exits: usize,
}

impl Counts {
    /// Prefixes and domains that a request would be sent to now.
    pub fn destinations(&self) -> usize {
        self.prefixes + self.domains
    }
}

impl RouteTable {
    /// Builds both halves.
    pub fn build<'a, L, R>(input: BuildInput<L, R>) -> Self
    where
        L: Iterator<Item = &'a LinkAdv>,
        R: Iterator<Item = &'a RouteAdv>,
    {
        let graph = Arc::new(Graph::build(input.own, input.links));
        let paths = PathTable::build(graph, input.max_hops, input.avoid);
        Self::new(Arc::new(PrefixTable::build(input.routes)), Arc::new(paths))
    }

    /// Joins two halves.
    pub fn new(prefixes: Arc<PrefixTable>, paths: Arc<PathTable>) -> Self {
        let exits = prefixes.exits().iter();
        let reach = exits.map(|exit| Reach::of(&paths, exit.id)).collect();
        Self {
            prefixes,
            paths,
            reach,
            counts: OnceLock::new(),
        }
    }

    /// The half that changes with routes.
    pub fn prefix_table(&self) -> &Arc<PrefixTable> {
        &self.prefixes
    }

    /// The half that changes with links.
    pub fn path_table(&self) -> &Arc<PathTable> {
        &self.paths
    }

    /// The agent whose table this is.
    pub fn own(&self) -> AgentId {
        self.paths.own()
    }

    /// The live exits of the longest prefix that contains `ip` and has any, the preferred first:
    /// by standing, metric, round trip, id. Empty: no route. An IPv4-mapped address is looked up
    /// as IPv4. At most [`MAX_CANDIDATES`].
    pub fn candidates_for_ip(&self, ip: IpAddr) -> Vec<Candidate> {
        self.first_live(
            self.prefixes
                .covering(ip)
                .into_iter()
                .map(|(prefix, entries)| (Destination::Prefix(prefix), entries)),
        )
    }

    /// The live exits of the most specific domain pattern that matches `name` and has any, in the
    /// same order: an exact pattern first, then the longest wildcard. Empty: no domain route.
    pub fn candidates_for_domain(&self, name: &str) -> Vec<Candidate> {
        self.first_live(
            self.prefixes
                .matching(name)
                .into_iter()
                .map(|(pattern, entries)| (Destination::Domain(pattern.clone()), entries)),
        )
    }

    /// Whether `name` falls under a domain route, be its exit in reach or not: nobody else is asked
    /// for it.
    pub fn is_owned(&self, name: &str) -> bool {
        !self.prefixes.matching(name).is_empty()
    }

    /// Exits to ask for the address of `name`, which no domain route covers: those that are `named`,
    /// or without names those whose certificates let them resolve it. Those with resolvers of their
    /// own come first, each part nearest first. Our own agent is among them only if its file names
    /// resolvers. Their metric is the path's cost. At most [`MAX_CANDIDATES`].
    pub fn resolvers(&self, name: &str, named: &[AgentId]) -> Vec<Candidate> {
        let own = self.own();
        let mut ranked: Vec<(bool, Rank, Entry)> = (0..)
            .zip(self.prefixes.exits())
            .filter(|(_, exit)| exit.is_asked(exit.id == own, name, named))
            .filter_map(|(index, exit)| {
                let entry = Entry {
                    exit: index,
                    metric: 0,
                    max_hops: u8::MAX,
                };
                Some((!exit.resolves, self.rank(&entry)?, entry))
            })
            .collect();
        ranked.sort_unstable_by_key(|&(system, rank, _)| (system, rank));
        ranked.truncate(MAX_CANDIDATES);
        let candidate = |(_, rank, entry): &(bool, Rank, Entry)| self.candidate(None, *rank, entry);
        ranked.iter().map(candidate).collect()
    }

    /// The best path to `exit` and its alternate; `None` for our own agent and what is out of
    /// reach. See [`PathTable::alternate`] for the cost.
    pub fn paths(&self, exit: AgentId) -> Option<PathSet> {
        self.paths.paths(exit)
    }

    /// The most disjoint second path to `exit`.
    pub fn alternate(&self, exit: AgentId) -> Option<Path> {
        self.paths.alternate(exit)
    }

    /// Whether a path leads to `exit`.
    pub fn is_reachable(&self, exit: AgentId) -> bool {
        self.paths.is_reachable(exit)
    }

    /// Tells `lost` of every destination that was usable `before` and is not any more, and of the exits
    /// that served it.
    pub(super) fn lost_of(
        &self,
        before: &Self,
        mut lost: impl FnMut(Destination, &mut dyn Iterator<Item = AgentId>),
    ) {
        // Almost every change is one of links that leaves all exits in reach.
        if Arc::ptr_eq(&self.prefixes, &before.prefixes) && !self.reaches_less_than(before) {
            return;
        }
        for (destination, entries) in before.destinations() {
            let now = self.prefixes.offers_of(&destination);
            if before.is_live(entries) && !self.is_live(now) {
                let live = entries.iter().filter(|entry| before.rank(entry).is_some());
                lost(
                    destination,
                    &mut live.map(|entry| before.prefixes.exit(entry)),
                );
            }
        }
    }

    /// Tells `lost` of every exit that was in reach `before` and is not any more, or not as it was.
    pub(super) fn lost_exits_of(&self, before: &Self, mut lost: impl FnMut(&ExitRecord)) {
        if Arc::ptr_eq(&self.prefixes, &before.prefixes) && !self.reaches_less_than(before) {
            return;
        }
        for (exit, reach) in before.prefixes.exits().iter().zip(&before.reach) {
            let now = self.prefixes.record(exit.id);
            let is_as_it_was = now.is_some_and(|(at, now)| self.reach[at].is_some() && now == exit);
            if reach.is_some() && !is_as_it_was {
                lost(exit);
            }
        }
    }

    /// Whether an exit is out of reach or farther away than `before`; both have the same exits.
    fn reaches_less_than(&self, before: &Self) -> bool {
        let hops = |reach: &Option<Reach>| match reach {
            Some(Reach::Own) => 0,
            Some(Reach::Via { hops, .. }) => *hops,
            None => u8::MAX,
        };
        let mut reach = self.reach.iter().zip(&before.reach);
        reach.any(|(now, before)| hops(now) > hops(before))
    }

    fn is_live(&self, entries: &[Entry]) -> bool {
        entries.iter().any(|entry| self.rank(entry).is_some())
    }

    /// Every live exit of every prefix, then of every domain; of each the preferred first. Ask
    /// [`alternate`](Self::alternate) for second paths.
    pub fn routes(&self) -> impl Iterator<Item = Candidate> + '_ {
        self.destinations().flat_map(move |(destination, entries)| {
            let ranked = self.ranked(entries);
            let candidate = move |(rank, entry): (Rank, &Entry)| {
                self.candidate(Some(&destination), rank, entry)
            };
            ranked.into_iter().map(candidate)
        })
    }

    /// Prefixes and domains that the loss of one agent or link on the way would cut, all their
    /// exits together. The death of a single exit does not count as a way lost.
    pub fn single_path(&self) -> impl Iterator<Item = Destination> + '_ {
        self.destinations()
            .filter(|(_, entries)| self.hangs_by_one(entries))
            .map(|(destination, _)| destination)
    }

    /// Sizes, counted at the first call.
    pub fn counts(&self) -> Counts {
        *self.counts.get_or_init(|| {
            let prefixes = self.prefixes.prefixes();
            let domains = self.prefixes.domains();
            Counts {
                prefixes: prefixes
                    .filter(|(_, entries)| self.is_live(entries))
                    .count(),
                domains: domains.filter(|(_, entries)| self.is_live(entries)).count(),
                single_path: self.single_path().count(),
                exits: self.reach.iter().flatten().count(),
            }
        })
    }

    /// What decides about this offer; `None` if its exit cannot be used.
    pub(super) fn rank(&self, entry: &Entry) -> Option<Rank> {
        let exit = self.prefixes.exit(entry);
        match self.reach[entry.exit as usize]? {
            Reach::Own => Some(Rank {
                standing: Standing::Sound,
                metric: entry.metric,
                rtt_us: 0,
                exit,
            }),
            Reach::Via {
                hops,
                cost,
                rtt_us,
                standing,
                ..
            } => (hops <= entry.max_hops).then(|| Rank {
                standing,
                metric: entry.metric.saturating_add(cost),
                rtt_us,
                exit,
            }),
        }
    }

    /// The usable offers among `entries`, the preferred first.
    pub(super) fn ranked<'e>(&self, entries: &'e [Entry]) -> Vec<(Rank, &'e Entry)> {
        let mut ranked: Vec<(Rank, &Entry)> = entries
            .iter()
            .filter_map(|entry| Some((self.rank(entry)?, entry)))
            .collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        ranked
    }

    pub(super) fn candidate(
        &self,
        destination: Option<&Destination>,
        rank: Rank,
        entry: &Entry,
    ) -> Candidate {
        let path = match self.reach[entry.exit as usize] {
            Some(Reach::Via { node, .. }) => self.paths.tree().path(self.paths.graph(), node),
            Some(Reach::Own) | None => None,
        };
        let (prefix, domain) = match destination {
            Some(Destination::Prefix(prefix)) => (Some(*prefix), None),
            Some(Destination::Domain(pattern)) => (None, Some(pattern.to_string())),
            None => (None, None),
        };
        Candidate {
            exit: rank.exit,
            prefix,
            domain,
            metric: rank.metric,
            path,
            standing: rank.standing,
        }
    }

    fn first_live<'a>(
        &self,
        mut groups: impl Iterator<Item = (Destination, &'a [Entry])>,
    ) -> Vec<Candidate> {
        groups
            .find_map(|(destination, entries)| {
                let mut ranked = self.ranked(entries);
                ranked.truncate(MAX_CANDIDATES);
                let candidates = ranked
                    .into_iter()
                    .map(|(rank, entry)| self.candidate(Some(&destination), rank, entry))
                    .collect::<Vec<_>>();
                (!candidates.is_empty()).then_some(candidates)
            })
            .unwrap_or_default()
    }

    fn destinations(&self) -> impl Iterator<Item = (Destination, &[Entry])> {
        let prefixes = self.prefixes.prefixes();
        let domains = self.prefixes.domains();
        prefixes
            .map(|(prefix, entries)| (Destination::Prefix(prefix), entries))
            .chain(
                domains.map(|(pattern, entries)| (Destination::Domain(pattern.clone()), entries)),
            )
    }

    fn hangs_by_one(&self, entries: &[Entry]) -> bool {
        let mut nodes = Vec::new();
        for entry in entries {
            match self.reach[entry.exit as usize] {
                Some(Reach::Own) => return false,
                Some(Reach::Via { node, hops, .. }) if hops <= entry.max_hops => nodes.push(node),
                Some(Reach::Via { .. }) | None => {}
            }
        }
        !nodes.is_empty() && self.paths.hangs_by_one(&nodes)
    }
}

impl Reach {
    fn of(paths: &PathTable, exit: AgentId) -> Option<Self> {
        if exit == paths.own() {
            return Some(Self::Own);
        }
        let node = paths.graph().node(exit)?;
        let weight = paths.tree().weight(node)?;
        Some(Self::Via {
            node,
            hops: paths.tree().hops(node)?,
            cost: weight.cost(),
            rtt_us: weight.rtt_us(),
            standing: weight.standing(),
        })
    }
}

#[cfg(test)]
mod tests;

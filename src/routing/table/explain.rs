//! Why a destination goes where it goes: every candidate, and what was against each one that was
//! not chosen.

#![deny(clippy::wildcard_enum_match_arm)]

use std::net::IpAddr;

use serde::Serialize;

use crate::config::Balance;
use crate::identity::AgentId;

use super::candidate::Candidate;
use super::destination::Destination;
use super::prefix::Entry;
use super::route::RouteTable;
use crate::routing::paths::path::{Path, Standing};

/// Second paths are shown among this many candidates: each is a search of its own.
const MAX_SECOND_WAYS: usize = 16;

/// The answer to `explain`. Its JSON shape is a promise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The address or name as asked.
    pub dest: String,
    /// The exit that a new connection takes; `None`: no route.
    pub chosen: Option<Chosen>,
    /// Every exit that advertises a matching prefix or domain, the most specific first.
    pub candidates: Vec<Considered>,
}

/// The chosen exit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chosen {
    pub exit: AgentId,
    /// Each hop, the exit last; empty if we are the exit ourselves.
    pub path: Vec<AgentId>,
    pub metric: u32,
    pub rtt_ms: f64,
}

/// One exit that was considered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Considered {
    pub exit: AgentId,
    /// Each hop, the exit last; empty if no path leads there or we are the exit ourselves.
    pub path: Vec<AgentId>,
    /// With the path's cost; the exit's base metric alone where no path leads there.
    pub metric: u32,
    /// The prefix or domain pattern that the exit advertises.
    pub prefix: String,
    /// Why this exit was not chosen; `None` for the chosen one.
    pub rejected: Option<String>,
}

impl RouteTable {
    /// Explains the choice for an address or a name. `balance` is the ingress's setting. A name
    /// that no domain route covers has no candidates here: resolve it through
    /// [`resolvers`](Self::resolvers) and explain the address.
    pub fn explain(&self, dest: &str, balance: Balance) -> Explanation {
        let bare = dest.strip_prefix('[').and_then(|d| d.strip_suffix(']'));
        match bare.unwrap_or(dest).parse::<IpAddr>() {
            Ok(ip) => self.explain_ip(dest, ip, balance),
            Err(_) => self.explain_domain(dest, balance),
        }
    }

    /// Explains the choice for an address; `dest` is what was asked for.
    pub fn explain_ip(&self, dest: &str, ip: IpAddr, balance: Balance) -> Explanation {
        let groups = self.prefix_table().covering(ip).into_iter();
        let groups = groups.map(|(prefix, entries)| (Destination::Prefix(prefix), entries));
        self.explain_groups(dest, groups, "shorter prefix", balance)
    }

    fn explain_domain(&self, name: &str, balance: Balance) -> Explanation {
        let groups = self.prefix_table().matching(name).into_iter();
        let groups =
            groups.map(|(pattern, entries)| (Destination::Domain(pattern.clone()), entries));
        self.explain_groups(name, groups, "less specific domain", balance)
    }

    fn explain_groups<'a>(
        &self,
        dest: &str,
        groups: impl Iterator<Item = (Destination, &'a [Entry])>,
        less_specific: &str,
        balance: Balance,
    ) -> Explanation {
        let mut winner: Option<Candidate> = None;
        let mut candidates = Vec::new();
        for (destination, entries) in groups {
            let group_decides = winner.is_none();
            for (rank, entry) in self.ranked(entries) {
                let candidate = self.candidate(Some(&destination), rank, entry);
                let rejected = match &winner {
                    None => None,
                    Some(_) if !group_decides => Some(less_specific.to_owned()),
                    Some(winner) => Some(why_not(winner, &candidate, balance)),
                };
                candidates.push(Considered {
                    exit: rank.exit,
                    path: hops(&candidate),
                    metric: rank.metric,
                    prefix: destination.to_string(),
                    rejected,
                });
                if candidates.len() < MAX_SECOND_WAYS {
                    candidates.extend(self.second_way(&destination, rank.exit, entry));
                }
                winner.get_or_insert(candidate);
            }
            let unusable = entries.iter().filter(|entry| self.rank(entry).is_none());
            candidates.extend(unusable.map(|entry| self.unusable(&destination, entry)));
        }
        Explanation {
            dest: dest.to_owned(),
            chosen: winner.map(|winner| Chosen {
                exit: winner.exit,
                path: hops(&winner),
                metric: winner.metric,
                rtt_ms: winner.rtt_us() as f64 / 1_000.0,
            }),
            candidates,
        }
    }

    /// The path to the same exit that is held ready.
    fn second_way(
        &self,
        destination: &Destination,
        exit: AgentId,
        entry: &Entry,
    ) -> Option<Considered> {
        let (best, second) = (self.paths(exit)?.best, self.alternate(exit)?);
        let standing = |path: &Path| Some(self.path_table().assess(path)?.1);
        let worse_standing = standing(&second) > standing(&best);
        let why = match standing(&second) {
            Some(Standing::Suspect) if worse_standing => "suspect link",
            Some(Standing::Draining) if worse_standing => "an agent on it is draining",
            Some(_) | None if second.cost > best.cost => "higher metric",
            Some(_) | None => "same metric, tie broken by rtt or id",
        };
        Some(Considered {
            exit,
            metric: entry.metric.saturating_add(second.cost),
            path: second.hops,
            prefix: destination.to_string(),
            rejected: Some(format!("second path to this exit, held ready: {why}")),
        })
    }

    fn unusable(&self, destination: &Destination, entry: &Entry) -> Considered {
        let exit = self.prefix_table().exit(entry);
        let allowed = self.path_table().max_hops().min(entry.max_hops);
        let rejected = match self.path_table().fewest_hops(exit) {
            None => "no live path".to_owned(),
            Some(hops) if hops > usize::from(allowed) => format!(
                "hops over max_hops: the shortest way has {hops} hops, {allowed} are allowed"
            ),
            Some(hops) => format!(
                "hops over max_hops: the shortest way has {hops} hops, more than an agent on it allows"
            ),
        };
        Considered {
            exit,
            path: Vec::new(),
            metric: entry.metric,
            prefix: destination.to_string(),
            rejected: Some(rejected),
        }
    }
}

/// What made `other` lose against `winner`, both usable exits of one prefix or domain.
fn why_not(winner: &Candidate, other: &Candidate, balance: Balance) -> String {
    let worse_standing = other.standing > winner.standing;
    let reason = match other.standing {
        Standing::Draining if worse_standing => "draining: used only as a last resort",
        Standing::Suspect if worse_standing => "suspect link: used only as a last resort",
        Standing::Sound | Standing::Draining | Standing::Suspect => {
            if other.metric > winner.metric {
                "higher metric"
            } else {
                why_not_equal(winner, other, balance)
            }
        }
    };
    reason.to_owned()
}

fn why_not_equal(winner: &Candidate, other: &Candidate, balance: Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "same metric, tie broken by round_robin: its turn comes",
        Balance::LeastStreams => {
            "same metric, tie broken by least_streams: it takes over when it has fewest"
        }
        Balance::LowestMetric if other.rtt_us() > winner.rtt_us() => {
            "same metric, tie broken by rtt"
        }
        Balance::LowestMetric => "same metric and rtt, tie broken by id",
    }
}

fn hops(candidate: &Candidate) -> Vec<AgentId> {
    let path = candidate.path.as_ref();
    path.map_or_else(Vec::new, |path| path.hops.clone())
}

#[cfg(test)]
mod tests;

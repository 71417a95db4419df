//! All paths without a loop, one after the other: slow and plain, and so an oracle for the search.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use warren::identity::AgentId;
use warren::routing::{Avoid, BuildInput, Core, Path, RouteTable, Standing};
use warren::wire::packet::{MAX_HOPS, header_len};
use warren::wire::{LinkAdv, RouteAdv};

use super::authority::Fake;
use super::objects::{AGENTS, PREFIXES, id, prefix};

/// QUIC's smallest packet behind the smallest header: no edge is narrower.
const NARROWEST: u16 = 1_200 + header_len(1) as u16;

/// A path by what decides between paths, in order. Compares like its preference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    draining: usize,
    cost: u64,
    rtt_us: u64,
    length: usize,
    hops: Vec<AgentId>,
}

/// Everything that paths are made of.
struct Mesh<'a> {
    own: AgentId,
    links: BTreeMap<AgentId, &'a LinkAdv>,
}

/// Compares every best path and every prefix's candidates.
pub(super) fn compare(core: &Core<Fake>) {
    let table = RouteTable::build(BuildInput {
        own: core.id(),
        max_hops: MAX_HOPS as u8,
        links: core.link_advs(),
        routes: core.route_advs().map(|(_, route)| route),
        avoid: Avoid::default(),
    });
    let links = core.link_advs().map(|adv| (adv.stamp.origin, adv));
    let mesh = Mesh {
        own: core.id(),
        links: links.collect(),
    };
    let best = mesh.best_ways();
    for agent in (1..AGENTS).map(id) {
        let expected = best.get(&agent);
        assert_eq!(table.is_reachable(agent), expected.is_some(), "{agent}");
        let path = table.path_table().best(agent);
        assert_eq!(path.as_ref().map(told), expected.map(Way::told), "{agent}");
        if let Some(alternate) = table.alternate(agent) {
            assert_ne!(Some(&alternate), path.as_ref());
            assert_eq!(alternate.exit(), agent);
            assert!(table.path_table().is_live(&alternate));
        }
    }
    let routes: Vec<&RouteAdv> = core.route_advs().map(|(_, route)| route).collect();
    for address in (0..PREFIXES.len()).map(|index| prefix(index).addr()) {
        compare_candidates(&table, &routes, &best, address);
    }
}

/// The live exits of the longest prefix that has any, by standing, metric, round trip and id.
fn compare_candidates(
    table: &RouteTable,
    routes: &[&RouteAdv],
    best: &BTreeMap<AgentId, Way>,
    address: IpAddr,
) {
    let mut prefixes: Vec<IpNet> = (0..PREFIXES.len()).map(prefix).collect();
    prefixes.retain(|prefix| prefix.contains(&address));
    prefixes.sort_by_key(|prefix| Reverse(prefix.prefix_len()));
    let expected = prefixes.into_iter().find_map(|prefix| {
        let mut exits = exits_of(prefix, routes, best, table.own());
        exits.sort();
        (!exits.is_empty()).then_some(exits)
    });
    let candidates = table.candidates_for_ip(address).into_iter();
    let found: Vec<_> = candidates
        .map(|one| (one.standing, one.metric, one.rtt_us(), one.exit))
        .collect();
    assert_eq!(found, expected.unwrap_or_default(), "exits for {address}");
}

fn exits_of(
    prefix: IpNet,
    routes: &[&RouteAdv],
    best: &BTreeMap<AgentId, Way>,
    own: AgentId,
) -> Vec<(Standing, u32, u64, AgentId)> {
    let mut exits = BTreeMap::new();
    for adv in routes {
        let offers = adv.prefixes.iter().filter(|route| route.prefix == prefix);
        for offer in offers {
            // Of several offers of one exit the lowest metric counts, with its own reach.
            let offer = (offer.metric, adv.stamp.max_hops);
            let kept = exits.entry(adv.stamp.origin).or_insert(offer);
            if offer.0 < kept.0 {
                *kept = offer;
            }
        }
    }
    let ranked = exits.into_iter().filter_map(|(exit, (metric, max_hops))| {
        if exit == own {
            return Some((Standing::Sound, metric, 0, exit));
        }
        let way = best.get(&exit)?;
        let (cost, rtt_us, _) = way.told();
        let metric = metric.saturating_add(cost);
        (way.length <= usize::from(max_hops)).then(|| (way.standing(), metric, rtt_us, exit))
    });
    ranked.collect()
}

impl Way {
    fn told(&self) -> (u32, u64, Vec<AgentId>) {
        let cost = u32::try_from(self.cost).unwrap_or(u32::MAX);
        (cost, self.rtt_us, self.hops.clone())
    }

    fn standing(&self) -> Standing {
        match self.draining {
            0 => Standing::Sound,
            _ => Standing::Draining,
        }
    }
}

fn told(path: &Path) -> (u32, u64, Vec<AgentId>) {
    (path.cost, path.rtt_us, path.hops.clone())
}

impl Mesh<'_> {
    fn best_ways(&self) -> BTreeMap<AgentId, Way> {
        let mut best = BTreeMap::new();
        let nowhere = Way {
            draining: 0,
            cost: 0,
            rtt_us: 0,
            length: 0,
            hops: Vec::new(),
        };
        self.go_on(&nowhere, self.own, &mut best);
        best
    }

    /// Tries every step from `at` that makes no loop.
    fn go_on(&self, way: &Way, at: AgentId, best: &mut BTreeMap<AgentId, Way>) {
        let passes = at == self.own || !self.links[&at].flags.no_transit;
        for (to, there) in self.links.iter().filter(|_| passes) {
            let visited = *to == self.own || way.hops.contains(to);
            let reach = there.stamp.max_hops.min(MAX_HOPS as u8);
            let Some((cost, rtt_us)) = self.edge(at, *to).filter(|_| !visited) else {
                continue;
            };
            if way.length >= usize::from(reach) {
                continue;
            }
            let mut next = way.clone();
            next.draining += usize::from(there.flags.draining);
            next.cost += u64::from(cost);
            next.rtt_us += rtt_us;
            next.length += 1;
            next.hops.push(*to);
            if best.get(to).is_none_or(|known| next < *known) {
                best.insert(*to, next.clone());
            }
            self.go_on(&next, *to, best);
        }
    }

    /// Cost and round trip of a link that both ends advertise.
    fn edge(&self, from: AgentId, to: AgentId) -> Option<(u32, u64)> {
        let claim = |from, to| {
            let neighbors = &self.links.get(&from)?.neighbors;
            neighbors.iter().find(|neighbor| neighbor.id == to)
        };
        let (here, there) = (claim(from, to)?, claim(to, from)?);
        let known = [here.mtu, there.mtu].into_iter().filter(|mtu| *mtu > 0);
        if known.min().is_some_and(|mtu| mtu < NARROWEST) {
            return None;
        }
        let cost = here.cost.max(there.cost);
        Some((cost, here.rtt_us().max(there.rtt_us())))
    }
}

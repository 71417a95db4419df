//! Meshes for tests, and an oracle that tries every way through them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::identity::AgentId;
use crate::wire::{LinkAdv, LinkFlags, Neighbor, RouteAdv, RoutePrefix, Stamp};

use super::{Graph, Path};
use crate::routing::paths::avoid::Avoid;
use crate::routing::paths::path_table::PathTable;

/// The agent with this number; ids are ordered like numbers.
pub(super) fn agent(number: u32) -> AgentId {
    AgentId(u128::from(number).to_be_bytes())
}

/// The stamp of `origin`'s first advertisement.
pub(crate) fn stamp(origin: AgentId) -> Stamp {
    Stamp {
        origin,
        certificate_hash: [0; 32],
        incarnation: 1,
        answers: 0,
        epoch: 1,
        sequence: 1,
        issued_at_ms: 0,
        lifetime_ms: 300_000,
        max_hops: 15,
    }
}

/// Link advertisements under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Mesh {
    pub(super) advs: Vec<LinkAdv>,
}

impl Mesh {
    /// Agents 0 to `count - 1` without links.
    pub(super) fn of(count: u32) -> Self {
        let adv = |number| LinkAdv {
            stamp: stamp(agent(number)),
            flags: LinkFlags::default(),
            neighbors: Vec::new(),
            display_name: format!("agent-{number}"),
            features: None,
        };
        Self {
            advs: (0..count).map(adv).collect(),
        }
    }

    /// Links of cost 1 and class 1, which is one microsecond.
    pub(super) fn with_links(count: u32, links: &[(u32, u32)]) -> Self {
        let mut mesh = Self::of(count);
        for &(a, b) in links {
            mesh.link(a, b, 1, 1);
        }
        mesh
    }

    /// What `from` says of its link to `to`.
    pub(super) fn claim(&mut self, from: u32, to: u32, cost: u32, rtt_class: u8, mtu: u16) {
        self.advs[from as usize].neighbors.push(Neighbor {
            id: agent(to),
            cost,
            rtt_class,
            mtu,
        });
    }

    pub(super) fn link(&mut self, a: u32, b: u32, cost: u32, rtt_class: u8) {
        self.claim(a, b, cost, rtt_class, 1_400);
        self.claim(b, a, cost, rtt_class, 1_400);
    }

    /// Both ends forget their link.
    pub(super) fn cut(&mut self, a: u32, b: u32) {
        for (from, to) in [(a, b), (b, a)] {
            let neighbors = &mut self.advs[from as usize].neighbors;
            neighbors.retain(|neighbor| neighbor.id != agent(to));
        }
    }

    pub(super) fn flags(&mut self, number: u32) -> &mut LinkFlags {
        &mut self.advs[number as usize].flags
    }

    /// The graph as agent 0 sees it.
    pub(super) fn graph(&self) -> Graph {
        Graph::build(agent(0), self.advs.iter())
    }

    /// Agent 0's paths.
    pub(super) fn table(&self, max_hops: u8) -> PathTable {
        self.table_avoiding(max_hops, Avoid::default())
    }

    pub(super) fn table_avoiding(&self, max_hops: u8, avoid: Avoid) -> PathTable {
        PathTable::build(self.graph().into(), max_hops, avoid)
    }
}

/// A fragment of `origin`'s routes: prefixes with their metrics, and domains.
pub(super) fn routes(origin: u32, prefixes: &[(&str, u32)], domains: &[&str]) -> RouteAdv {
    let route = |&(prefix, metric): &(&str, u32)| RoutePrefix {
        prefix: prefix.parse().expect("a test writes prefixes correctly"),
        metric,
    };
    RouteAdv {
        stamp: stamp(agent(origin)),
        fragment: 0,
        fragments: 1,
        prefixes: prefixes.iter().map(route).collect(),
        domains: domains.iter().map(|&domain| domain.to_owned()).collect(),
        resolves: false,
        load: 0,
        pool: String::new(),
    }
}

/// The numbers of a path's hops.
pub(super) fn numbers(path: &Path) -> Vec<u32> {
    let number = |id: &AgentId| u128::from_be_bytes(id.0) as u32;
    path.hops.iter().map(number).collect()
}

/// What a random link between two agents looks like: both claims, each absent or not.
type LinkShape = (Option<u32>, Option<u32>, u8);

/// Random meshes of 2 to 7 agents: uneven and one-way claims, agents that drain or relay for
/// nobody, agents with a small hop limit of their own.
pub(super) fn any_mesh() -> impl Strategy<Value = Mesh> {
    (2_u32..=7)
        .prop_flat_map(|count| {
            let pairs = (count * (count - 1) / 2) as usize;
            let claim = || prop::option::weighted(0.7, 0_u32..5);
            let shapes = prop::collection::vec((claim(), claim(), 0_u8..4), pairs);
            let odd = || prop::bool::weighted(0.15);
            let flags = prop::collection::vec((odd(), odd(), odd()), count as usize);
            (Just(count), shapes, flags)
        })
        .prop_map(|(count, shapes, flags)| random_mesh(count, &shapes, &flags))
}

fn random_mesh(count: u32, shapes: &[LinkShape], flags: &[(bool, bool, bool)]) -> Mesh {
    let mut mesh = Mesh::of(count);
    let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
    for ((a, b), &(ab, ba, class)) in pairs.zip(shapes) {
        if let Some(cost) = ab {
            mesh.claim(a, b, cost, class, 1_400);
        }
        if let Some(cost) = ba {
            mesh.claim(b, a, cost, 0, 0);
        }
    }
    for (number, &(draining, no_transit, near_only)) in (0..).zip(flags) {
        *mesh.flags(number) = LinkFlags {
            draining,
            no_transit,
        };
        if near_only {
            mesh.advs[number as usize].stamp.max_hops = 2;
        }
    }
    mesh
}

/// One loop-free way, found by trying all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Agents met that are draining.
    pub(super) draining: usize,
    pub(super) cost: u32,
    pub(super) rtt_us: u64,
    pub(super) hops: Vec<u32>,
}

impl Way {
    /// Agents passed on the way.
    pub(super) fn interior(&self) -> BTreeSet<u32> {
        let interior = self.hops.len() - 1;
        self.hops[..interior].iter().copied().collect()
    }

    /// Links crossed, the smaller number first.
    pub(super) fn links(&self) -> BTreeSet<(u32, u32)> {
        let from = [0].iter().chain(&self.hops);
        from.zip(&self.hops)
            .map(|(&a, &b)| (a.min(b), a.max(b)))
            .collect()
    }

    /// What best paths are compared by.
    pub(super) fn key(&self) -> (usize, u32, u64, usize, Vec<u32>) {
        let hops = self.hops.clone();
        (self.draining, self.cost, self.rtt_us, hops.len(), hops)
    }
}

/// Every loop-free way from agent 0 to `exit` that the advertisements allow, read off them
/// directly.
pub(super) fn all_ways(mesh: &Mesh, exit: u32, max_hops: usize) -> Vec<Way> {
    let mut found = Vec::new();
    let start = Way {
        draining: 0,
        cost: 0,
        rtt_us: 0,
        hops: Vec::new(),
    };
    extend_ways(mesh, exit, max_hops, start, &mut found);
    found
}

fn extend_ways(mesh: &Mesh, exit: u32, max_hops: usize, way: Way, found: &mut Vec<Way>) {
    let here = way.hops.last().copied().unwrap_or(0);
    if here == exit {
        if here != 0 {
            found.push(way);
        }
        return;
    }
    if way.hops.len() >= max_hops || here != 0 && mesh.advs[here as usize].flags.no_transit {
        return;
    }
    for next in 1..mesh.advs.len() as u32 {
        let claim = |from: u32, to: u32| {
            let neighbors = &mesh.advs[from as usize].neighbors;
            neighbors.iter().find(|n| n.id == agent(to)).cloned()
        };
        let (Some(ours), Some(theirs)) = (claim(here, next), claim(next, here)) else {
            continue;
        };
        let adv = &mesh.advs[next as usize];
        let too_far = way.hops.len() >= usize::from(adv.stamp.max_hops);
        if way.hops.contains(&next) || too_far {
            continue;
        }
        let mut longer = way.clone();
        longer.hops.push(next);
        longer.draining += usize::from(adv.flags.draining);
        longer.cost += ours.cost.max(theirs.cost).max(1);
        longer.rtt_us += ours.rtt_us().max(theirs.rtt_us());
        extend_ways(mesh, exit, max_hops, longer, found);
    }
}

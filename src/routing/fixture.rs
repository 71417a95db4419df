//! Meshes for tests.

use crate::identity::AgentId;
use crate::wire::{LinkAdv, LinkFlags, Neighbor, RouteAdv, RoutePrefix, Stamp};

use super::avoid::Avoid;
use super::path_table::PathTable;
use super::{Graph, Path};

/// The agent with this number; ids are ordered like numbers.
pub(super) fn agent(number: u32) -> AgentId {
    AgentId(u128::from(number).to_be_bytes())
}

fn stamp(origin: u32) -> Stamp {
    Stamp {
        origin: agent(origin),
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
            stamp: stamp(number),
            flags: LinkFlags::default(),
            neighbors: Vec::new(),
            display_name: format!("agent-{number}"),
        };
        Self {
            advs: (0..count).map(adv).collect(),
        }
    }

    /// Links of cost 1 and class 0.
    pub(super) fn with_links(count: u32, links: &[(u32, u32)]) -> Self {
        let mut mesh = Self::of(count);
        for &(a, b) in links {
            mesh.link(a, b, 1, 0);
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
        stamp: stamp(origin),
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

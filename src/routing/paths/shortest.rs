//! Cheapest paths from this agent to all others under a hop limit.
//!
//! With unequal costs the cheapest path may have too many hops while a dearer one fits, so one
//! label per agent is not enough: an agent keeps every label that no other beats in both weight
//! and hops. They are found layer by layer (Bellman-Ford over hop counts): layer `h` extends the
//! labels of layer `h - 1` by one edge and keeps what weighs less than anything with fewer hops.
//! That is at most `max_hops` passes over the edges and no heap.
//!
//! Ties, in order: weight (see [`Weight`]), fewer hops, then the sequence of ids read from our
//! end. Each edge adds to the weight, so no best path visits an agent twice.

#![deny(clippy::wildcard_enum_match_arm)]

use std::ops::Add;

use super::avoid::Avoid;
use super::graph::{Graph, Node, smaller_known};
use super::path::{Path, Standing};

/// What a way weighs, compared field by field from the highest bits down: suspects met, agents
/// shared, links shared, draining agents met, cost, round trip. Each field has room for the sum
/// over 15 edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::routing) struct Weight(u128);

const COST: u32 = 40;
const COST_BITS: u32 = 36;
const DRAINING: u32 = COST + COST_BITS;
const SHARED_LINK: u32 = DRAINING + 4;
const SHARED_AGENT: u32 = SHARED_LINK + 4;
const SUSPECT: u32 = SHARED_AGENT + 4;

impl Weight {
    pub(super) const ZERO: Self = Self(0);
    pub(super) const ONE_SHARED_LINK: Self = Self(1 << SHARED_LINK);
    pub(super) const ONE_SHARED_AGENT: Self = Self(1 << SHARED_AGENT);
    const ONE_DRAINING: Self = Self(1 << DRAINING);
    const ONE_SUSPECT: Self = Self(1 << SUSPECT);

    fn of_link(cost: u32, rtt_us: u32) -> Self {
        Self((u128::from(cost) << COST) | u128::from(rtt_us))
    }

    /// The same without suspicion.
    pub(super) fn trusted(self) -> Self {
        Self(self.0 & ((1 << SUSPECT) - 1))
    }

    pub(in crate::routing) fn cost(self) -> u32 {
        let cost = (self.0 >> COST) & ((1 << COST_BITS) - 1);
        u32::try_from(cost).unwrap_or(u32::MAX)
    }

    pub(in crate::routing) fn rtt_us(self) -> u64 {
        (self.0 & ((1 << COST) - 1)) as u64
    }

    pub(in crate::routing) fn standing(self) -> Standing {
        if self.0 >> SUSPECT != 0 {
            Standing::Suspect
        } else if (self.0 >> DRAINING) & 0xf != 0 {
            Standing::Draining
        } else {
            Standing::Sound
        }
    }
}

impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// The weight of each edge of `graph`: entering a draining or avoided agent is charged to the edge.
pub(super) fn weigh(graph: &Graph, avoid: &Avoid) -> Vec<Weight> {
    let mut weights: Vec<Weight> = graph
        .edges()
        .iter()
        .map(|edge| {
            let link = Weight::of_link(edge.cost, edge.rtt_us);
            if graph.is_draining(edge.to) {
                link + Weight::ONE_DRAINING
            } else {
                link
            }
        })
        .collect();
    let mut charge = |edge: usize| weights[edge] = weights[edge] + Weight::ONE_SUSPECT;
    for agent in avoid.agents().filter_map(|id| graph.node(id)) {
        for edge in graph.edges_of(agent) {
            charge(graph.edges()[edge].reverse as usize);
        }
    }
    for (a, b) in avoid.links() {
        if let (Some(a), Some(b)) = (graph.node(a), graph.node(b))
            && let Some(edge) = graph.edge_between(a, b)
        {
            charge(edge);
            charge(graph.edges()[edge].reverse as usize);
        }
    }
    weights
}

/// No label.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Label {
    weight: Weight,
    node: Node,
    /// Index of the label this one extends; `NONE` at our own.
    parent: u32,
    /// The edge it was extended by.
    edge: u32,
    hops: u8,
}

/// Paths from this agent, sharing their beginnings.
#[derive(Debug)]
pub(in crate::routing) struct Tree {
    labels: Vec<Label>,
    /// The label of each agent's best path.
    best: Vec<u32>,
}

/// Finds the best path to every agent, or to `target` alone, which ends early.
pub(super) fn search(
    graph: &Graph,
    weights: &[Weight],
    max_hops: u8,
    target: Option<Node>,
) -> Tree {
    let own = graph.own_node();
    let mut tree = Tree {
        labels: Vec::with_capacity(graph.len()),
        best: vec![NONE; graph.len()],
    };
    tree.labels.push(Label {
        weight: Weight::ZERO,
        node: own,
        parent: NONE,
        edge: NONE,
        hops: 0,
    });
    tree.best[own as usize] = 0;
    let mut layer = 0..1;
    for hops in 1..=max_hops {
        let start = tree.labels.len();
        for parent in layer {
            let from = tree.labels[parent];
            if !graph.may_leave(from.node) {
                continue;
            }
            for edge in graph.edges_of(from.node) {
                let label = Label {
                    weight: from.weight + weights[edge],
                    node: graph.edges()[edge].to,
                    parent: parent as u32,
                    edge: edge as u32,
                    hops,
                };
                let bounded = target.is_some_and(|target| !tree.improves(target, label.weight));
                if hops <= graph.hop_limit(label.node) && !bounded {
                    tree.offer(label, start);
                }
            }
        }
        tree.rank(start);
        layer = start..tree.labels.len();
        if layer.is_empty() {
            break;
        }
    }
    tree
}

impl Tree {
    pub(super) fn is_reached(&self, node: Node) -> bool {
        self.best[node as usize] != NONE
    }

    /// The weight of the best path to `node`.
    pub(in crate::routing) fn weight(&self, node: Node) -> Option<Weight> {
        self.label(node).map(|label| label.weight)
    }

    /// The hops of the best path to `node`.
    pub(in crate::routing) fn hops(&self, node: Node) -> Option<u8> {
        self.label(node).map(|label| label.hops)
    }

    /// The best path to `node`; `None` for our own agent and those out of reach.
    pub(in crate::routing) fn path(&self, graph: &Graph, node: Node) -> Option<Path> {
        let last = self.label(node).filter(|label| label.hops > 0)?;
        let mut hops = Vec::with_capacity(usize::from(last.hops));
        let mut mtu = 0;
        let mut label = last;
        while label.hops > 0 {
            hops.push(graph.id(label.node));
            mtu = smaller_known(mtu, graph.edges()[label.edge as usize].mtu);
            label = &self.labels[label.parent as usize];
        }
        hops.reverse();
        Some(Path {
            hops,
            cost: last.weight.cost(),
            rtt_us: last.weight.rtt_us(),
            mtu,
        })
    }

    fn label(&self, node: Node) -> Option<&Label> {
        self.labels.get(self.best[node as usize] as usize)
    }

    fn improves(&self, node: Node, weight: Weight) -> bool {
        self.weight(node).is_none_or(|known| weight < known)
    }

    /// Keeps `label` if it weighs less than what is known. Parents come in rank order, so of equal
    /// labels in one layer the first is the one to keep.
    fn offer(&mut self, label: Label, layer_start: usize) {
        if !self.improves(label.node, label.weight) {
            return;
        }
        let best = &mut self.best[label.node as usize];
        if *best != NONE && *best as usize >= layer_start {
            self.labels[*best as usize] = label;
        } else {
            *best = self.labels.len() as u32;
            self.labels.push(label);
        }
    }

    /// Sorts a finished layer by its paths' ids: by the parent's rank, which is its place, then by
    /// the last agent.
    fn rank(&mut self, layer_start: usize) {
        self.labels[layer_start..].sort_unstable_by_key(|label| (label.parent, label.node));
        for (at, label) in self.labels.iter().enumerate().skip(layer_start) {
            self.best[label.node as usize] = at as u32;
        }
    }
}

#[cfg(test)]
mod tests;

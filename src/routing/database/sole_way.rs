//! Adjacencies held back though nothing else leads to the neighbour: they are let go early.
//!
//! Both ends ask the same of what they know, links count only if both ends advertise them and ways
//! only if both ends may use them, so that both let go of a link that joins two parts of the mesh.

use std::collections::BTreeSet;

use super::adjacency::Input;
use super::authority::Authority;
use super::core::Core;
use super::time::{Now, RUSH};
use crate::identity::AgentId;
use crate::routing::paths::graph::{Graph, Node};

impl<A: Authority> Core<A> {
    /// Lets go of every adjacency in its hold that is the only way to its neighbour. Builds the
    /// graph once, however many are held.
    pub(super) fn release_sole_ways(&mut self, now: Now) {
        self.sole_ways_at = None;
        let held = self.held();
        if held.is_empty() {
            return;
        }
        self.sole_ways_seen = Some(now.instant);
        let graph = self.graph_with_held();
        let mut reach = Reach::new(&graph, self.settings.max_hops);
        let told = self.adjacencies.iter();
        let told = told.filter(|(_, adjacency)| adjacency.is_told());
        reach.enter_by(told.map(|(id, _)| *id));
        for neighbor in held {
            if reach.contains(neighbor) {
                continue;
            }
            self.adjacency_input(now, neighbor, Input::SoleWay);
            if self.adjacencies[&neighbor].is_told() {
                reach.enter_by([neighbor]);
            }
        }
    }

    /// Plans that for the next timeout, if anything is held. A flood of changes costs one look.
    pub(super) fn plan_release(&mut self, now: Now) {
        if self.sole_ways_at.is_none() && !self.held().is_empty() {
            let rested = self.sole_ways_seen.map(|seen| seen + RUSH);
            self.sole_ways_at = rested.max(Some(now.instant));
        }
    }

    fn held(&self) -> Vec<AgentId> {
        let held = self.adjacencies.iter();
        let held = held.filter(|(_, adjacency)| adjacency.held_until().is_some());
        held.map(|(id, _)| *id).collect()
    }

    /// The mesh as if all our live links were told: what of them is, may not have been issued yet.
    fn graph_with_held(&self) -> Graph {
        let own = self.link_adv(self.settings.id).cloned().map(|mut own| {
            let live = self.adjacencies.iter();
            own.neighbors = live
                .filter_map(|(id, adjacency)| Some(adjacency.metrics()?.neighbor(*id)))
                .collect();
            own
        });
        let others = self.link_advs();
        let others = others.filter(|adv| adv.stamp.origin != self.settings.id);
        Graph::build(self.settings.id, others.chain(&own))
    }
}

/// The agents with which some of our links join us by ways that both ends may use.
///
/// An edge needs both ends, so both must judge alike. A path is bounded by the `max_hops` of every
/// agent on it, each by its distance from whoever looks, and so may be open to one end and closed to
/// the other. Here a way counts if it is no longer than any of those limits, which is the same read
/// from either end. It is looked for once per limit there is: usually all agents have the same.
struct Reach<'a> {
    graph: &'a Graph,
    levels: Vec<Level>,
}

/// The agents whose limit is `limit` or more, in reach within as many hops.
struct Level {
    limit: u8,
    /// By node, the fewest hops there; `u8::MAX`: out of reach.
    hops: Vec<u8>,
}

impl<'a> Reach<'a> {
    /// Over no link.
    fn new(graph: &'a Graph, max_hops: u8) -> Self {
        let nodes = 0..graph.len() as Node;
        let limits: BTreeSet<u8> = nodes
            .map(|node| graph.hop_limit(node).min(max_hops))
            .collect();
        let level = |limit| {
            let mut hops = vec![u8::MAX; graph.len()];
            hops[graph.own_node() as usize] = 0;
            Level { limit, hops }
        };
        let levels = limits.into_iter().map(level).collect();
        Self { graph, levels }
    }

    /// Adds what the links with `neighbors` lead to, those that the other end advertises.
    fn enter_by(&mut self, neighbors: impl IntoIterator<Item = AgentId>) {
        let graph = self.graph;
        let nodes = neighbors.into_iter().filter_map(|id| graph.node(id));
        let linked: Vec<Node> = nodes
            .filter(|&node| graph.edge_between(graph.own_node(), node).is_some())
            .collect();
        for level in &mut self.levels {
            level.enter_by(graph, linked.clone());
        }
    }

    fn contains(&self, agent: AgentId) -> bool {
        let reached = |node: Node| {
            let mut levels = self.levels.iter();
            levels.any(|level| level.hops[node as usize] != u8::MAX)
        };
        self.graph.node(agent).is_some_and(reached)
    }
}

impl Level {
    /// Passes an agent again only if it comes nearer, so that any number of calls cost few passes in
    /// all.
    fn enter_by(&mut self, graph: &Graph, mut frontier: Vec<Node>) {
        for hops in 1..=self.limit {
            frontier.retain(|&node| {
                let nearer = hops < self.hops[node as usize] && self.limit <= graph.hop_limit(node);
                if nearer {
                    self.hops[node as usize] = hops;
                }
                nearer
            });
            let onward = frontier.iter().filter(|&&node| graph.may_leave(node));
            let edges = onward.flat_map(|&node| &graph.edges()[graph.edges_of(node)]);
            frontier = edges.map(|edge| edge.to).collect();
        }
    }
}

#[cfg(test)]
mod tests;

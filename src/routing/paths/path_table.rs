//! Every agent's best path and, on demand, its alternate: the half of the route table that changes
//! with the topology.

#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use crate::identity::AgentId;
use crate::wire::packet::MAX_HOPS;

use super::alternate::most_disjoint;
use super::avoid::Avoid;
use super::graph::{Graph, Node, smaller_known};
use super::path::{Path, PathSet, Standing};
use super::redundancy::Dominators;
use super::shortest::{Tree, Weight, search, weigh};

/// Paths from one agent over one graph. Immutable; alternates are computed when first asked for.
#[derive(Debug)]
pub struct PathTable {
    graph: Arc<Graph>,
    max_hops: u8,
    avoid: Avoid,
    weights: Vec<Weight>,
    tree: Tree,
    /// By node.
    alternates: Box<[OnceLock<Option<Box<Path>>>]>,
    dominators: OnceLock<Dominators>,
    /// Hops to each agent if there were no limit.
    distances: OnceLock<Vec<Option<usize>>>,
}

impl PathTable {
    /// Searches the best path to every agent: at most `max_hops` (1 to 15) hops, over what `avoid`
    /// names only where nothing else leads. Of several paths the choice goes, in order, by
    /// [`Standing`], cost, round trip, fewer hops, and the hops' ids.
    ///
    /// Agents that advertise themselves as no transit are never passed, only reached; an agent
    /// whose own hop limit is smaller than its distance is not used.
    pub fn build(graph: Arc<Graph>, max_hops: u8, avoid: Avoid) -> Self {
        let max_hops = max_hops.min(MAX_HOPS as u8);
        let weights = weigh(&graph, &avoid);
        let tree = search(&graph, &weights, max_hops, None);
        Self {
            alternates: (0..graph.len()).map(|_| OnceLock::new()).collect(),
            graph,
            max_hops,
            avoid,
            weights,
            tree,
            dominators: OnceLock::new(),
            distances: OnceLock::new(),
        }
    }

    /// The agent whose paths these are.
    pub fn own(&self) -> AgentId {
        self.graph.own()
    }

    /// The topology underneath.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// Most hops of any path here.
    pub fn max_hops(&self) -> u8 {
        self.max_hops
    }

    /// What these paths keep away from.
    pub fn avoid(&self) -> &Avoid {
        &self.avoid
    }

    /// The best path to `exit`; `None` if it is out of reach or our own agent.
    pub fn best(&self, exit: AgentId) -> Option<Path> {
        self.tree.path(&self.graph, self.graph.node(exit)?)
    }

    /// The most disjoint second path to `exit`: fewest shared interior agents, then fewest shared
    /// links, then as the best. The first call for an exit searches (milliseconds in a mesh of ten
    /// thousand agents), later ones look up.
    pub fn alternate(&self, exit: AgentId) -> Option<Path> {
        let node = self.graph.node(exit)?;
        self.alternates[node as usize]
            .get_or_init(|| {
                let best = self.tree.path(&self.graph, node)?;
                self.disjoint_from(&best).map(Box::new)
            })
            .as_deref()
            .cloned()
    }

    /// The best path and its alternate.
    pub fn paths(&self, exit: AgentId) -> Option<PathSet> {
        Some(PathSet {
            best: self.best(exit)?,
            alternate: self.alternate(exit),
        })
    }

    /// The path to the same exit that shares least with `path`, which may be any, even a dead one.
    /// Searches anew at each call.
    pub fn disjoint_from(&self, path: &Path) -> Option<Path> {
        most_disjoint(&self.graph, &self.weights, self.max_hops, path)
    }

    /// Whether a path leads to `exit`.
    pub fn is_reachable(&self, exit: AgentId) -> bool {
        exit != self.own()
            && self
                .graph
                .node(exit)
                .is_some_and(|node| self.tree.is_reached(node))
    }

    /// Whether `exit` is known to be cut off rather than merely out of sight: an agent that we reach
    /// lost its link with it, or it no longer advertises.
    pub fn is_cut_off(&self, exit: AgentId) -> bool {
        let sees = |witness| witness == self.own() || self.is_reachable(witness);
        !self.is_reachable(exit)
            && (self.graph.node(exit).is_none() || self.graph.links_lost_with(exit).any(sees))
    }

    /// Whether every link of `path` still exists and every agent on it still lets us pass.
    pub fn is_live(&self, path: &Path) -> bool {
        self.assess(path).is_some()
    }

    /// `path` with today's figures and its standing; `None` if it is no longer live.
    pub fn assess(&self, path: &Path) -> Option<(Path, Standing)> {
        if path.hops.len() > usize::from(self.max_hops) {
            return None;
        }
        let mut weight = Weight::ZERO;
        let mut mtu = 0;
        let mut from = self.graph.own_node();
        for (&hop, distance) in path.hops.iter().zip(1..) {
            let to = self.graph.node(hop)?;
            if !self.graph.may_leave(from) || distance > self.graph.hop_limit(to) {
                return None;
            }
            let edge = self.graph.edge_between(from, to)?;
            weight = weight + self.weights[edge];
            mtu = smaller_known(mtu, self.graph.edges()[edge].mtu);
            from = to;
        }
        let assessed = Path {
            hops: path.hops.clone(),
            cost: weight.cost(),
            rtt_us: weight.rtt_us(),
            mtu,
        };
        Some((assessed, weight.standing()))
    }

    /// Hops of the shortest way to `exit` if there were no hop limit; for explanations.
    pub fn fewest_hops(&self, exit: AgentId) -> Option<usize> {
        let node = self.graph.node(exit)?;
        self.distances.get_or_init(|| distances(&self.graph))[node as usize]
    }

    /// Whether the loss of one agent or link on the way would cut us from all of `exits` together.
    /// The exits themselves do not count as on the way to themselves.
    pub(in crate::routing) fn hangs_by_one(&self, exits: &[Node]) -> bool {
        let dominators = self
            .dominators
            .get_or_init(|| Dominators::find(&self.graph, &self.tree));
        let second_way = |&exit: &Node| dominators.has_second_way(&self.graph, exit);
        !exits.iter().any(second_way)
            && (exits.len() < 2 || dominators.stand_behind_one(exits.iter().copied()))
    }

    pub(in crate::routing) fn tree(&self) -> &Tree {
        &self.tree
    }
}

/// Hops from our own agent to each, whatever the limit.
fn distances(graph: &Graph) -> Vec<Option<usize>> {
    let own = graph.own_node();
    let mut distances = vec![None; graph.len()];
    distances[own as usize] = Some(0);
    let mut queue = VecDeque::from([(own, 0)]);
    while let Some((node, hops)) = queue.pop_front() {
        if !graph.may_leave(node) {
            continue;
        }
        for edge in &graph.edges()[graph.edges_of(node)] {
            let distance = &mut distances[edge.to as usize];
            if distance.is_none() {
                *distance = Some(hops + 1);
                queue.push_back((edge.to, hops + 1));
            }
        }
    }
    distances
}

#[cfg(test)]
mod tests;

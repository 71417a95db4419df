//! Which agents stand between us and an exit, whatever the path: dominators of the reachable graph
//! (iterative algorithm of Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm").
//!
//! One pass answers "is there a second way" for every exit at once, where searching an alternate
//! for each would take seconds in a large mesh. Agents out of reach are left out, but the hop limit
//! of a whole second way is not checked: a mesh at the edge of its hop limit can be less redundant
//! than this says.

#![deny(clippy::wildcard_enum_match_arm)]

use super::graph::{Graph, Node};
use super::shortest::Tree;

/// Not numbered, or no dominator known yet.
const NONE: u32 = u32::MAX;

/// Agents are numbered in reverse postorder; ours is 0 and dominates all.
#[derive(Debug)]
pub(super) struct Dominators {
    number: Vec<u32>,
    /// The nearest agent, by number, that all ways to this one pass.
    nearest: Vec<u32>,
}

impl Dominators {
    pub(super) fn find(graph: &Graph, tree: &Tree) -> Self {
        let order = reverse_postorder(graph, tree);
        let mut number = vec![NONE; graph.len()];
        for (at, &node) in order.iter().enumerate() {
            number[node as usize] = at as u32;
        }
        let mut nearest = vec![NONE; order.len()];
        nearest[0] = 0;
        let mut found = Self { number, nearest };
        while found.refine(graph, &order) {}
        found
    }

    /// Whether two ways lead to `node` that share no agent and no link.
    pub(super) fn has_second_way(&self, graph: &Graph, node: Node) -> bool {
        let own = graph.own_node();
        let at = self.number[node as usize];
        if at == NONE {
            return false;
        }
        if graph.edge_between(own, node).is_none() {
            return self.nearest[at as usize] == 0;
        }
        self.entries(graph, node)
            .any(|from| from != 0 && self.meet(from, at) != at)
    }

    /// Whether one agent stands between us and all of `nodes`. One of them may be that agent.
    pub(super) fn stand_behind_one(&self, nodes: impl Iterator<Item = Node>) -> bool {
        nodes
            .map(|node| self.number[node as usize])
            .filter(|&at| at != NONE)
            .reduce(|a, b| self.meet(a, b))
            .is_some_and(|common| common != 0)
    }

    /// One pass; whether it changed anything.
    fn refine(&mut self, graph: &Graph, order: &[Node]) -> bool {
        let mut changed = false;
        for (at, &node) in order.iter().enumerate().skip(1) {
            let nearest = self
                .entries(graph, node)
                .filter(|&from| self.nearest[from as usize] != NONE)
                .reduce(|a, b| self.meet(a, b))
                .expect("an agent follows one of its entries in reverse postorder");
            changed |= self.nearest[at] != nearest;
            self.nearest[at] = nearest;
        }
        changed
    }

    /// Numbers of the agents that a way to `node` may come from.
    fn entries<'a>(&'a self, graph: &'a Graph, node: Node) -> impl Iterator<Item = u32> + 'a {
        graph.edges()[graph.edges_of(node)]
            .iter()
            .map(|edge| edge.to)
            .filter(|&from| graph.may_leave(from))
            .map(|from| self.number[from as usize])
            .filter(|&from| from != NONE)
    }

    /// The nearest agent that stands before both, themselves included.
    fn meet(&self, mut a: u32, mut b: u32) -> u32 {
        while a != b {
            if a > b {
                a = self.nearest[a as usize];
            } else {
                b = self.nearest[b as usize];
            }
        }
        a
    }
}

fn reverse_postorder(graph: &Graph, tree: &Tree) -> Vec<Node> {
    let own = graph.own_node();
    let mut seen = vec![false; graph.len()];
    let mut order = Vec::with_capacity(graph.len());
    let mut stack = vec![(own, graph.edges_of(own))];
    seen[own as usize] = true;
    while let Some((node, rest)) = stack.last_mut() {
        let Some(edge) = rest.next() else {
            order.push(*node);
            stack.pop();
            continue;
        };
        let to = graph.edges()[edge].to;
        if !seen[to as usize] && tree.is_reached(to) {
            seen[to as usize] = true;
            let onward = if graph.may_leave(to) {
                graph.edges_of(to)
            } else {
                0..0
            };
            stack.push((to, onward));
        }
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests;

//! The second way to an exit: the one that shares least with the first.

#![deny(clippy::wildcard_enum_match_arm)]

use super::graph::{Graph, Node};
use super::path::Path;
use super::shortest::{Weight, search};

/// The path to the exit of `path` that differs from it most. Compared, in order: fewest suspects,
/// fewest shared interior agents, fewest shared links, then as any best path. `None` if `path` is
/// the only one within `max_hops`.
///
/// A path other than `path` always shares fewer of its links, so when the search comes back with
/// `path` itself, all others lead over suspects; then suspicion is ignored.
pub(super) fn most_disjoint(
    graph: &Graph,
    weights: &[Weight],
    max_hops: u8,
    path: &Path,
) -> Option<Path> {
    let exit = graph.node(path.exit())?;
    let mut weights = weights.to_vec();
    charge_sharing(graph, &mut weights, path);
    let differs = |found: &Path| found.hops != path.hops;
    let found = search(graph, &weights, max_hops, Some(exit)).path(graph, exit)?;
    if differs(&found) {
        return Some(found);
    }
    for weight in &mut weights {
        *weight = weight.trusted();
    }
    search(graph, &weights, max_hops, Some(exit))
        .path(graph, exit)
        .filter(differs)
}

/// Adds a charge for every link of `path`, and for entering any of its interior agents. Hops that
/// the graph has forgotten cannot be shared.
fn charge_sharing(graph: &Graph, weights: &mut [Weight], path: &Path) {
    let mut charge = |edge: usize, weight: Weight| weights[edge] = weights[edge] + weight;
    let hops: Vec<Option<Node>> = path.hops.iter().map(|&hop| graph.node(hop)).collect();
    let mut previous = Some(graph.own_node());
    for &hop in &hops {
        if let (Some(from), Some(to)) = (previous, hop)
            && let Some(edge) = graph.edge_between(from, to)
        {
            charge(edge, Weight::ONE_SHARED_LINK);
            charge(
                graph.edges()[edge].reverse as usize,
                Weight::ONE_SHARED_LINK,
            );
        }
        previous = hop;
    }
    let interior = hops.split_last().map_or(&[][..], |(_, interior)| interior);
    for node in interior.iter().flatten() {
        for edge in graph.edges_of(*node) {
            let entering = graph.edges()[edge].reverse as usize;
            charge(entering, Weight::ONE_SHARED_AGENT);
        }
    }
}

#[cfg(test)]
mod tests;

//! Shapes of meshes.

use std::collections::BTreeSet;

use crate::rng::Rng;

/// Pairs of agents, smaller number first.
pub(crate) type Edges = BTreeSet<(usize, usize)>;

/// Connected, of about `degree` links per agent.
pub(crate) fn random(rng: &mut Rng, agents: usize, degree: usize) -> Edges {
    let mut edges: Edges = (1..agents).map(|b| (rng.index(b), b)).collect();
    while edges.len() < agents * degree / 2 {
        let (a, b) = (rng.index(agents), rng.index(agents));
        if a != b {
            edges.insert((a.min(b), a.max(b)));
        }
    }
    edges
}

pub(crate) fn line(agents: usize) -> Edges {
    (1..agents).map(|b| (b - 1, b)).collect()
}

pub(crate) fn ring(agents: usize) -> Edges {
    let mut edges = line(agents);
    edges.insert((0, agents - 1));
    edges
}

/// Binary.
pub(crate) fn tree(agents: usize) -> Edges {
    (1..agents).map(|b| ((b - 1) / 2, b)).collect()
}

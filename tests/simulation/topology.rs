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

/// Connected, four links an agent: two random rings over each other. Where they share a link its
/// ends have one fewer.
pub(crate) fn regular(rng: &mut Rng, agents: usize) -> Edges {
    let mut edges = Edges::new();
    for _ in 0..2 {
        let mut order: Vec<usize> = (0..agents).collect();
        for last in (1..agents).rev() {
            order.swap(last, rng.index(last + 1));
        }
        let next = order.iter().skip(1).chain(order.first());
        edges.extend(order.iter().zip(next).map(|(a, b)| (*a.min(b), *a.max(b))));
    }
    edges
}

/// Two regular halves, and `bridges` links between them.
pub(crate) fn halves(rng: &mut Rng, agents: usize, bridges: usize) -> (Edges, Edges) {
    let half = agents / 2;
    let mut edges = regular(rng, half);
    let other = regular(rng, agents - half);
    edges.extend(other.iter().map(|(a, b)| (a + half, b + half)));
    let mut between = Edges::new();
    while between.len() < bridges {
        between.insert((rng.index(half), half + rng.index(agents - half)));
    }
    edges.extend(&between);
    (edges, between)
}

//! What must hold once nothing has gone wrong for a while: every agent's database says what is
//! true, and shortest paths over it are the true ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use ipnet::IpNet;
use warren::identity::AgentId;
use warren::routing::{Avoid, Graph as AgreedGraph, PathTable};

use crate::world::{World, prefixes};

/// Links by agent, with their costs.
pub(crate) type Graph = BTreeMap<AgentId, BTreeMap<AgentId, u32>>;

/// Everything between living agents over working links.
pub(crate) fn truth(world: &World) -> Graph {
    truth_without(world, &BTreeSet::new())
}

/// The same as if the agents `outside` were dead.
pub(crate) fn truth_without(world: &World, outside: &BTreeSet<usize>) -> Graph {
    let mut graph = Graph::new();
    for agent in inside(world, outside) {
        graph.insert(world.agents[agent].id, BTreeMap::new());
    }
    for link in world.true_links() {
        if link.ends.iter().any(|end| outside.contains(end)) {
            continue;
        }
        let [a, b] = link.ends.map(|end| world.agents[end].id);
        graph.entry(a).or_default().insert(b, link.cost);
        graph.entry(b).or_default().insert(a, link.cost);
    }
    graph
}

/// What `agent` believes: edges that both ends advertise, at the larger cost.
pub(crate) fn belief(world: &World, agent: usize) -> Graph {
    let core = world.agents[agent].core.as_ref().expect("it is alive");
    let claims: Graph = core
        .link_advs()
        .map(|link| {
            let neighbors = link.neighbors.iter();
            let costs = neighbors.map(|neighbor| (neighbor.id, neighbor.cost));
            (link.stamp.origin, costs.collect())
        })
        .collect();
    let agreed = |a: &AgentId, costs: &BTreeMap<AgentId, u32>| {
        let both = costs.iter().filter_map(|(b, cost)| {
            let back = claims.get(b)?.get(a)?;
            Some((*b, *cost.max(back)))
        });
        both.collect()
    };
    let edges = claims.iter().map(|(a, costs)| (*a, agreed(a, costs)));
    edges.collect()
}

/// Cost and path to every agent that can be reached.
pub(crate) fn shortest(graph: &Graph, from: AgentId) -> BTreeMap<AgentId, (u32, Vec<AgentId>)> {
    let mut found: BTreeMap<AgentId, (u32, Vec<AgentId>)> = BTreeMap::new();
    let mut queue = BinaryHeap::from([Reverse((0, from, from))]);
    while let Some(Reverse((cost, at, previous))) = queue.pop() {
        if found.contains_key(&at) {
            continue;
        }
        let mut path = found
            .get(&previous)
            .map_or_else(Vec::new, |way| way.1.clone());
        path.push(at);
        found.insert(at, (cost, path));
        for (next, step) in graph.get(&at).into_iter().flatten() {
            queue.push(Reverse((cost + step, *next, at)));
        }
    }
    found
}

/// Hops from `from`, over any links.
pub(crate) fn hops(graph: &Graph, from: AgentId) -> BTreeMap<AgentId, u32> {
    let even: Graph = graph
        .iter()
        .map(|(a, costs)| (*a, costs.keys().map(|b| (*b, 1)).collect()))
        .collect();
    let ways = shortest(&even, from).into_iter();
    ways.map(|(id, (hops, _))| (id, hops)).collect()
}

/// Checks every living agent against the truth. No agent may be out of another's reach.
pub(crate) fn check(world: &World) {
    check_without(world, &BTreeSet::new());
}

/// The same as if the agents `outside` were dead: neither their views nor their links count.
pub(crate) fn check_without(world: &World, outside: &BTreeSet<usize>) {
    let truth = truth_without(world, outside);
    let routes: BTreeMap<AgentId, BTreeSet<(IpNet, u32)>> = inside(world, outside)
        .map(|agent| &world.agents[agent])
        .map(|agent| (agent.id, prefixes(agent)))
        .collect();
    for index in inside(world, outside) {
        let agent = &world.agents[index];
        let core = agent.core.as_ref().expect("those inside are alive");
        let expected = shortest(&truth, agent.id);
        let belief = belief(world, index);
        let reached = shortest(&belief, agent.id);
        for (id, (cost, _)) in &expected {
            let got = reached.get(id).map(|way| way.0);
            assert_eq!(got, Some(*cost), "cost from {} to {id}", agent.id);
            assert_eq!(
                belief.get(id),
                truth.get(id),
                "links of {id} at {}",
                agent.id
            );
            let advertised: BTreeSet<(IpNet, u32)> = core
                .routes_of(*id)
                .flat_map(|route| &route.prefixes)
                .map(|route| (route.prefix, route.metric))
                .collect();
            assert_eq!(advertised, routes[id], "routes of {id} at {}", agent.id);
        }
        for (id, (_, path)) in &reached {
            assert!(
                expected.contains_key(id),
                "{id} is gone, {} believes in it",
                agent.id
            );
            let once: BTreeSet<_> = path.iter().collect();
            assert_eq!(once.len(), path.len(), "a path visits an agent twice");
        }
        check_paths(world, index, &truth);
        assert!(core.database_bytes() <= world.settings.limits.advertisement_bytes);
    }
}

/// Checks that the paths of `agent` are as cheap as those over `truth`, whose agents are all that it
/// has paths to. A cheapest path of too many hops gives way to a dearer one.
pub(crate) fn check_paths(world: &World, agent: usize, truth: &Graph) {
    let id = world.agents[agent].id;
    let core = world.agents[agent].core.as_ref().expect("it is alive");
    let max_hops = world.settings.max_hops;
    let graph = Arc::new(AgreedGraph::build(id, core.link_advs()));
    let paths = PathTable::build(graph.clone(), max_hops, Avoid::default());
    let expected = shortest(truth, id);
    for other in graph.agents().iter().map(|other| other.id) {
        let Some(path) = paths.best(other) else {
            continue;
        };
        let Some((cost, way)) = expected.get(&other) else {
            panic!("{id} has a path to {other}, which is gone: {path}");
        };
        let fits = way.len() - 1 <= usize::from(max_hops);
        assert!(
            path.cost == *cost || (path.cost > *cost && !fits),
            "{id} reaches {other} at {} instead of {cost}: {path}",
            path.cost
        );
        let mut at = id;
        for hop in &path.hops {
            assert!(truth[&at].contains_key(hop), "no link of {at} and {hop}");
            at = *hop;
        }
    }
    let mut missed = expected.iter().filter(|(other, (_, way))| {
        **other != id && way.len() - 1 <= usize::from(max_hops) && paths.best(**other).is_none()
    });
    assert_eq!(missed.next(), None, "{id} has no path there");
}

fn inside<'a>(world: &'a World, outside: &'a BTreeSet<usize>) -> impl Iterator<Item = usize> + 'a {
    let alive = (0..world.agents.len()).filter(|agent| world.is_alive(*agent));
    alive.filter(|agent| !outside.contains(agent))
}

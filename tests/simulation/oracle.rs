//! What must hold once nothing has gone wrong for a while: every agent's database says what is
//! true, and shortest paths over it are the true ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use ipnet::IpNet;
use warren::identity::AgentId;

use crate::world::{World, prefixes};

/// Links by agent, with their costs.
pub(crate) type Graph = BTreeMap<AgentId, BTreeMap<AgentId, u32>>;

/// Everything between living agents over working links.
pub(crate) fn truth(world: &World) -> Graph {
    let mut graph = Graph::new();
    for agent in world.agents.iter().filter(|agent| agent.core.is_some()) {
        graph.insert(agent.id, BTreeMap::new());
    }
    for link in world.true_links() {
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
    let truth = truth(world);
    let routes: BTreeMap<AgentId, BTreeSet<(IpNet, u32)>> = world
        .agents
        .iter()
        .filter(|agent| agent.core.is_some())
        .map(|agent| (agent.id, prefixes(agent)))
        .collect();
    for (index, agent) in world.agents.iter().enumerate() {
        let Some(core) = &agent.core else {
            continue;
        };
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
        assert!(core.database_bytes() <= world.settings.limits.advertisement_bytes);
    }
}

//! What is killed, how it comes back, and which edges must be gone in between.

use warren::identity::AgentId;

use crate::oracle::{Graph, truth};
use crate::world::{Chaos, GENESIS_MS, World};

/// The death of one link or of one agent.
pub(crate) struct Fault {
    pub(crate) strike: Chaos,
    pub(crate) repair: Chaos,
    /// Ends of the links that die.
    pub(crate) pairs: Vec<(usize, usize)>,
    /// The agent that dies.
    pub(crate) victim: Option<usize>,
}

impl Fault {
    pub(crate) fn of_link(world: &World, link: usize) -> Self {
        Self {
            strike: Chaos::Break { link },
            repair: Chaos::Repair { link },
            pairs: vec![world.links[link].ends.into()],
            victim: None,
        }
    }

    /// It comes back as a new process, whose epoch is later than that of any before.
    pub(crate) fn of_agent(world: &World, agent: usize) -> Self {
        let epoch = GENESIS_MS + 3_600_000 + world.now_us() / 1_000 + 10_000;
        let others = world.neighbors(agent);
        Self {
            strike: Chaos::Crash { agent },
            repair: Chaos::Boot { agent, epoch },
            pairs: others.map(|other| (agent, other)).collect(),
            victim: Some(agent),
        }
    }

    pub(crate) fn concerns(&self, agent: usize) -> bool {
        let mut pairs = self.pairs.iter();
        pairs.any(|(a, b)| *a == agent || *b == agent)
    }

    /// The edges that die.
    pub(crate) fn edges(&self, world: &World) -> Vec<(AgentId, AgentId)> {
        let id = |agent: usize| world.agents[agent].id;
        self.pairs.iter().map(|(a, b)| (id(*a), id(*b))).collect()
    }

    /// What is true once it has struck; before, it is only planned.
    pub(crate) fn truth_after(&self, world: &World) -> Graph {
        let mut graph = truth(world);
        for (a, b) in self.edges(world) {
            graph.entry(a).or_default().remove(&b);
            graph.entry(b).or_default().remove(&a);
        }
        if let Some(victim) = self.victim {
            graph.remove(&world.agents[victim].id);
        }
        graph
    }
}

//! Watches an event spread: from its detection until every agent's view is right.
//!
//! Before the event all views agree with the truth, and nothing else changes meanwhile. So a view is
//! right again as soon as the edges that died are gone from it, and its paths are checked against
//! Dijkstra's over the truth at that very moment, for as many agents as that is affordable.

use std::collections::BTreeSet;

use warren::identity::AgentId;

use crate::figures::Samples;
use crate::oracle::{Graph, check_paths};
use crate::world::{Traffic, World};

/// Every end notices after this: what detection adds is not the control plane's doing.
pub(crate) const DETECTION_US: u64 = 150_000;

/// For so long messages count as the event's, from its detection.
const WINDOW_US: u64 = 2_000_000;

/// One event under observation.
pub(crate) struct Watch<'a> {
    /// Edges that must be gone.
    pub(crate) edges: Vec<(AgentId, AgentId)>,
    /// Agents whose paths are compared with `truth` when their view is right.
    pub(crate) checked: BTreeSet<usize>,
    pub(crate) truth: Option<&'a Graph>,
    /// Agents that need not know.
    pub(crate) excused: BTreeSet<usize>,
}

impl Watch<'_> {
    /// Runs the world until [`WINDOW_US`] after the detection of what was planned for now.
    pub(crate) fn run(&self, world: &mut World, samples: &mut Samples) -> Result<(), String> {
        let detected = world.now_us() + DETECTION_US;
        while world.step(detected - 1) {}
        let before = world.sent;
        world.take_changed();
        let mut waiting: BTreeSet<usize> = (0..world.agents.len())
            .filter(|agent| world.is_alive(*agent) && !self.excused.contains(agent))
            .collect();
        while world.step(detected + WINDOW_US) {
            for agent in world.take_changed() {
                if waiting.contains(&agent) && self.is_right(world, agent) {
                    waiting.remove(&agent);
                    samples.delays_us.push(world.now_us() - detected);
                    if let Some(truth) = self.truth.filter(|_| self.checked.contains(&agent)) {
                        check_paths(world, agent, truth);
                    }
                }
            }
        }
        if let Some(agent) = waiting.first() {
            let count = waiting.len();
            return Err(format!("{count} agents, {agent} among them, never heard"));
        }
        let Traffic {
            floods,
            flood_bytes,
            ..
        } = world.sent.since(before);
        samples.messages.push(floods);
        samples.bytes.push(flood_bytes);
        Ok(())
    }

    fn is_right(&self, world: &World, agent: usize) -> bool {
        let core = world.agents[agent].core.as_ref().expect("it is alive");
        let lists = |a, b| {
            let link = core.link_adv(a);
            link.is_some_and(|link| link.neighbors.iter().any(|neighbor| neighbor.id == b))
        };
        let gone = |(a, b): &(AgentId, AgentId)| !(lists(*a, *b) && lists(*b, *a));
        self.edges.iter().all(gone)
    }
}

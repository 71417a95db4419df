//! Watches an event spread: from its detection until every agent's view is right.
//!
//! Before the event all views agree with the truth, and nothing else changes meanwhile. So a view is
//! right again as soon as the edges that died are gone from it, and its paths are checked against
//! Dijkstra's over the truth at that very moment, for as many agents as that is affordable.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

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
        let floors = self.floors(world);
        let mut last = 0;
        let mut waiting: BTreeSet<usize> = (0..world.agents.len())
            .filter(|agent| world.is_alive(*agent) && !self.excused.contains(agent))
            .collect();
        while world.step(detected + WINDOW_US) {
            for agent in world.take_changed() {
                if waiting.contains(&agent) && self.is_right(world, agent) {
                    waiting.remove(&agent);
                    let delay = world.now_us() - detected;
                    samples.delays_us.push(delay);
                    samples
                        .above_floor_us
                        .push(delay.saturating_sub(floors[agent]));
                    last = delay;
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
        samples.last_us.push(last);
        samples.messages.push(floods);
        samples.bytes.push(flood_bytes);
        Ok(())
    }

    /// What the news takes to each agent if it goes the fastest way and nobody holds it up: for every
    /// edge from the nearer of its living ends, of several edges the last.
    fn floors(&self, world: &World) -> Vec<u64> {
        let number = |id| world.agents.iter().position(|agent| agent.id == id);
        let mut floors = vec![0; world.agents.len()];
        for (a, b) in &self.edges {
            let ends = [*a, *b].into_iter().filter_map(number);
            let heard = travel_us(world, ends.filter(|end| world.is_alive(*end)).collect());
            for (floor, heard) in floors.iter_mut().zip(heard) {
                *floor = heard.max(*floor);
            }
        }
        floors
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

/// Microseconds from the nearest of `sources` to each agent, by the delays of working links.
fn travel_us(world: &World, sources: Vec<usize>) -> Vec<u64> {
    let mut links = vec![Vec::new(); world.agents.len()];
    for link in world.true_links() {
        let [a, b] = link.ends;
        links[a].push((b, link.delay_us));
        links[b].push((a, link.delay_us));
    }
    let mut best = vec![u64::MAX; world.agents.len()];
    let mut queue: BinaryHeap<_> = sources.into_iter().map(|end| Reverse((0, end))).collect();
    while let Some(Reverse((at, agent))) = queue.pop() {
        if at >= best[agent] {
            continue;
        }
        best[agent] = at;
        let onward = links[agent].iter();
        queue.extend(onward.map(|(next, delay)| Reverse((at + delay, *next))));
    }
    best
}

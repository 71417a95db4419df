//! What paths should keep away from while there is another way.

use std::collections::BTreeSet;

use crate::identity::AgentId;

/// Links and agents under suspicion. A path over them is chosen only where nothing else leads to
/// the exit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Avoid {
    /// Both ends, the smaller id first.
    links: BTreeSet<(AgentId, AgentId)>,
    agents: BTreeSet<AgentId>,
}

impl Avoid {
    /// Avoids the link between `a` and `b`, in both directions.
    pub fn insert_link(&mut self, a: AgentId, b: AgentId) {
        self.links.insert((a.min(b), a.max(b)));
    }

    /// Avoids passing `agent`, and ending there.
    pub fn insert_agent(&mut self, agent: AgentId) {
        self.agents.insert(agent);
    }

    /// Adds everything that `other` avoids.
    pub fn extend(&mut self, other: &Self) {
        self.links.extend(&other.links);
        self.agents.extend(&other.agents);
    }

    /// Whether the link between `a` and `b` is avoided.
    pub fn has_link(&self, a: AgentId, b: AgentId) -> bool {
        self.links.contains(&(a.min(b), a.max(b)))
    }

    /// Whether a step from `from` to `to` is to be avoided.
    pub fn covers(&self, from: AgentId, to: AgentId) -> bool {
        self.links.contains(&(from.min(to), from.max(to))) || self.agents.contains(&to)
    }

    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.agents.is_empty()
    }

    /// Links to avoid, the smaller id first.
    pub fn links(&self) -> impl Iterator<Item = (AgentId, AgentId)> + '_ {
        self.links.iter().copied()
    }

    /// Agents to avoid.
    pub fn agents(&self) -> impl Iterator<Item = AgentId> + '_ {
        self.agents.iter().copied()
    }
}

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

//! What paths should keep away from while there is another way.

use std::collections::BTreeSet;

use crate::identity::AgentId;

use super::path::Path;

/// Links and agents under suspicion. A path over them is chosen only where nothing else leads to
/// the exit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Avoid {
    /// Both ends, the smaller id first.
    links: BTreeSet<(AgentId, AgentId)>,
    agents: BTreeSet<AgentId>,
}

impl Avoid {
    /// What may be to blame if `failed`, a path of `own`, is silent end to end while `works` is
    /// not: the agents that only the one passes, or the links if there are no such agents.
    pub fn blaming(own: AgentId, failed: &Path, works: &Path) -> Self {
        let mut avoid = Self::default();
        let interior = &failed.hops[..failed.hops.len() - 1];
        for agent in interior.iter().filter(|hop| !works.hops.contains(hop)) {
            avoid.insert_agent(*agent);
        }
        if avoid.is_empty() {
            let used: BTreeSet<_> = links(own, works).collect();
            avoid.links = links(own, failed)
                .filter(|link| !used.contains(link))
                .collect();
        }
        avoid
    }

    /// What is to blame if a path failed after `a`, an agent on it, reported that it cannot forward
    /// to `b`: no more than that link, because anybody in the mesh could make such a report up.
    pub fn reported(a: AgentId, b: AgentId) -> Self {
        let mut avoid = Self::default();
        avoid.insert_link(a, b);
        avoid
    }

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

    /// Whether it names `agent`, by itself or as an end of a link.
    pub fn names(&self, agent: AgentId) -> bool {
        self.agents.contains(&agent) || self.links.iter().any(|&(a, b)| a == agent || b == agent)
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

/// The links of a path of `own`, the smaller id first.
fn links(own: AgentId, path: &Path) -> impl Iterator<Item = (AgentId, AgentId)> + '_ {
    let before = std::iter::once(own).chain(path.hops.iter().copied());
    let ends = before.zip(path.hops.iter().copied());
    ends.map(|(a, b)| (a.min(b), a.max(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(hops: &[u8]) -> Path {
        Path {
            hops: hops.iter().map(|hop| AgentId([*hop; 16])).collect(),
            cost: 1,
            rtt_us: 0,
            mtu: 0,
        }
    }

    #[test]
    fn blame_falls_on_what_the_working_path_does_without() {
        let own = AgentId([9; 16]);
        let avoid = Avoid::blaming(own, &path(&[1, 2, 4]), &path(&[1, 3, 4]));
        assert_eq!(avoid.agents().collect::<Vec<_>>(), [AgentId([2; 16])]);
        assert_eq!(avoid.links().count(), 0);
        let direct = Avoid::blaming(own, &path(&[4]), &path(&[1, 4]));
        assert!(direct.has_link(own, AgentId([4; 16])));
        assert_eq!(direct.agents().count(), 0);
        // The uplink that both use is not to blame.
        let far = Avoid::blaming(own, &path(&[1, 4]), &path(&[1, 3, 4]));
        assert!(far.has_link(AgentId([1; 16]), AgentId([4; 16])));
        assert!(!far.has_link(own, AgentId([1; 16])));
        assert!(direct.names(own) && direct.names(AgentId([4; 16])));
        assert!(!direct.names(AgentId([1; 16])));
    }
}

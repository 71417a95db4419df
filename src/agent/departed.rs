//! What agents were called that have left the mesh: events and errors outlive them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::identity::AgentId;
use crate::routing::Graph;

/// Names that are kept; those that left first are forgotten first.
const LIMIT: usize = 1_024;

/// Cloning shares it.
#[derive(Clone, Default)]
pub(super) struct Departed(Arc<Mutex<VecDeque<(AgentId, String)>>>);

impl Departed {
    /// Takes the names of agents that were known and are not, and forgets those of agents that came
    /// back.
    pub(super) fn handle_change(&self, before: &Graph, after: &Graph) {
        let mut names = self.0.lock().expect("no panic while locked");
        names.retain(|(id, _)| !is_named(after, *id));
        for agent in before.agents() {
            if agent.display_name.is_empty() || is_named(after, agent.id) {
                continue;
            }
            names.retain(|(id, _)| *id != agent.id);
            if names.len() >= LIMIT {
                names.pop_front();
            }
            names.push_back((agent.id, agent.display_name.clone()));
        }
    }

    /// All of them, by id.
    pub(super) fn names(&self) -> Vec<(AgentId, String)> {
        let names = self.0.lock().expect("no panic while locked");
        names.iter().cloned().collect()
    }

    pub(super) fn name(&self, id: AgentId) -> Option<String> {
        let names = self.0.lock().expect("no panic while locked");
        let found = names.iter().find(|(known, _)| *known == id);
        found.map(|(_, name)| name.clone())
    }
}

fn is_named(graph: &Graph, id: AgentId) -> bool {
    graph
        .agent(id)
        .is_some_and(|agent| !agent.display_name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::fixture::stamp;
    use crate::wire::{LinkAdv, LinkFlags};

    fn agent(number: u128) -> AgentId {
        AgentId(number.to_be_bytes())
    }

    fn graph(agents: impl Iterator<Item = (u128, String)>) -> Graph {
        let advs: Vec<LinkAdv> = agents
            .map(|(number, display_name)| LinkAdv {
                stamp: stamp(agent(number)),
                flags: LinkFlags::default(),
                neighbors: Vec::new(),
                display_name,
                features: None,
            })
            .collect();
        Graph::build(agent(0), advs.iter())
    }

    fn named(names: &[(u128, &str)]) -> Graph {
        graph(
            names
                .iter()
                .map(|(number, name)| (*number, (*name).to_owned())),
        )
    }

    #[test]
    fn a_name_outlives_its_agent_until_that_is_back() {
        let departed = Departed::default();
        let both = named(&[(1, "transit"), (2, "exit")]);
        let one = named(&[(1, "transit")]);
        departed.handle_change(&both, &one);
        assert_eq!(departed.name(agent(2)).as_deref(), Some("exit"));
        assert_eq!(departed.name(agent(1)), None, "it is here");
        departed.handle_change(&one, &named(&[]));
        assert_eq!(departed.names().len(), 2);
        // Back under another name, and gone again.
        departed.handle_change(&named(&[]), &named(&[(2, "exit-b")]));
        assert_eq!(departed.name(agent(2)), None);
        departed.handle_change(&named(&[(2, "exit-b")]), &named(&[]));
        assert_eq!(departed.name(agent(2)).as_deref(), Some("exit-b"));
        assert_eq!(departed.names().len(), 2);
    }

    #[test]
    fn the_first_to_leave_are_forgotten_first() {
        let departed = Departed::default();
        let none = named(&[]);
        let count = LIMIT as u128;
        let many = graph((1..=count).map(|number| (number, format!("a{number}"))));
        departed.handle_change(&many, &none);
        departed.handle_change(&named(&[(count + 1, "last")]), &none);
        assert_eq!(departed.names().len(), LIMIT);
        assert_eq!(departed.name(agent(1)), None);
        assert_eq!(departed.name(agent(count + 1)).as_deref(), Some("last"));
    }
}

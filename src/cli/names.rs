//! What agents call themselves, to be shown with their ids.

use std::collections::BTreeMap;

use super::console::WIDE;
use crate::api::TopologyView;
use crate::identity::AgentId;

/// Digits of an id beside a name: what default display names have, too.
const HEAD: usize = 8;

/// Display names by id.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_id: BTreeMap<AgentId, String>,
    /// How many agents have a name.
    counts: BTreeMap<String, usize>,
    /// Names stand alone where they are those of one agent.
    brief: bool,
}

impl Names {
    /// What the agents of a mesh are called, and were that have left it.
    pub(super) fn new(topology: TopologyView) -> Self {
        let agents = topology.agents.into_iter();
        let departed = topology.departed.into_iter();
        // Who is here is called what it is called now.
        let departed = departed.map(|agent| (agent.id, agent.display_name));
        Self::of(departed.chain(agents.map(|agent| (agent.id, agent.display_name))))
    }

    /// These names; the last one of an agent counts.
    pub(super) fn of(names: impl Iterator<Item = (AgentId, String)>) -> Self {
        let by_id: BTreeMap<_, _> = names.collect();
        let mut counts = BTreeMap::new();
        for name in by_id.values() {
            *counts.entry(name.clone()).or_default() += 1;
        }
        Self {
            by_id,
            counts,
            brief: false,
        }
    }

    /// For lines of `width` columns: names alone, unless there is room for anything.
    pub(super) fn fitting(self, width: usize) -> Self {
        Self {
            brief: width != WIDE,
            ..self
        }
    }

    /// `exit-a (77aa0011)`, or `exit-a` where that is brief and clear; the id's head alone where no
    /// name is known.
    pub(super) fn show(&self, id: AgentId) -> String {
        let name = self.by_id.get(&id).map(String::as_str);
        match name {
            Some(name) if self.brief && self.is_clear(name) => name.to_owned(),
            name => label(name, id),
        }
    }

    /// Of one agent, and not to be taken for an id.
    fn is_clear(&self, name: &str) -> bool {
        let looks_like_id = name.len() >= HEAD && name.bytes().all(|b| b.is_ascii_hexdigit());
        !name.is_empty() && !looks_like_id && self.counts.get(name) == Some(&1)
    }

    /// Every hop in order; where brief, those between the ends.
    pub(super) fn path(&self, hops: &[AgentId]) -> String {
        let (shown, none) = match hops {
            [] => (hops, "(this agent)"),
            [between @ .., _] if self.brief => (between, "(direct)"),
            _ => (hops, ""),
        };
        if shown.is_empty() {
            return none.to_owned();
        }
        let shown = shown.iter().map(|hop| self.show(*hop));
        shown.collect::<Vec<_>>().join(" > ")
    }

    /// The title of a column of paths.
    pub(super) fn path_title(&self) -> &'static str {
        if self.brief { "VIA" } else { "PATH" }
    }
}

/// `name (head of the id)`.
pub(super) fn label(name: Option<&str>, id: AgentId) -> String {
    let id = id.to_string();
    let head = &id[..HEAD];
    match name {
        Some(name) if !name.is_empty() && name != head => format!("{name} ({head})"),
        _ => head.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AgentView;

    #[test]
    fn names_stand_alone_only_where_they_are_clear() {
        let agent = |byte, name: &str| AgentView {
            id: AgentId([byte; 16]),
            display_name: name.into(),
            this: false,
            transit: true,
            draining: false,
            routes: 0,
            features: None,
        };
        let topology = TopologyView {
            agents: vec![
                agent(1, "exit-a"),
                agent(2, "twin"),
                agent(3, "twin"),
                agent(4, "01010101"),
                agent(5, ""),
            ],
            ..TopologyView::default()
        };
        let names = Names::new(topology).fitting(60);
        let shown = [1, 2, 4, 5, 6].map(|byte| names.show(AgentId([byte; 16])));
        assert_eq!(
            shown,
            [
                "exit-a",
                "twin (02020202)",
                "01010101 (04040404)",
                "05050505",
                "06060606"
            ]
        );
        let hops = [AgentId([2; 16]), AgentId([1; 16])];
        assert_eq!(names.path(&hops), "twin (02020202)");
        assert_eq!(names.path(&hops[1..]), "(direct)");
        assert_eq!(names.path(&[]), "(this agent)");
        let names = names.fitting(WIDE);
        assert_eq!(names.path(&hops), "twin (02020202) > exit-a (01010101)");
    }
}

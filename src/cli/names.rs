//! What agents call themselves, to be shown with their ids.

use std::collections::BTreeMap;

use crate::api::TopologyView;
use crate::identity::AgentId;

/// Digits of an id beside a name: what default display names have, too.
const HEAD: usize = 8;

/// Display names by id.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<AgentId, String>);

impl Names {
    pub(super) fn new(topology: TopologyView) -> Self {
        let agents = topology.agents.into_iter();
        Self(agents.map(|a| (a.id, a.display_name)).collect())
    }

    /// `exit-a (77aa0011)`; the id's head alone where no name is known.
    pub(super) fn show(&self, id: AgentId) -> String {
        label(self.0.get(&id).map(String::as_str), id)
    }

    /// Every hop in order.
    pub(super) fn path(&self, hops: &[AgentId]) -> String {
        if hops.is_empty() {
            return "(this agent)".to_owned();
        }
        let hops = hops.iter().map(|hop| self.show(*hop));
        hops.collect::<Vec<_>>().join(" > ")
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

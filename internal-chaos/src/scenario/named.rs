//! What a scenario calls by name, and what is told when there is no such thing.

use super::model::{AgentId, Scenario};

/// The agent with this name.
pub(super) fn agent(scenario: &Scenario, name: &str) -> Result<AgentId, String> {
    scenario.agent(name).ok_or_else(|| {
        let names = scenario.agents.iter().map(|agent| agent.name.as_str());
        format!("no agent is called `{name}`; {}", known("agent", names))
    })
}

/// Which names there are, of things of that kind.
pub(super) fn known<'a>(kind: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return format!("the scenario has no {kind}");
    }
    format!("known are {}", names.join(", "))
}

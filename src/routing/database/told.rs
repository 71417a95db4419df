//! Of which agents a person was told lately, so that a log has a line of each and no flood.

use std::collections::BTreeMap;
use std::time::Instant;

use super::time::TELL_INTERVAL;
use crate::identity::AgentId;

/// Agents remembered. What is told of may be a name that somebody made up, so this is also the most
/// lines in a [`TELL_INTERVAL`].
const MOST: usize = 32;

/// When each agent was last told of.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<AgentId, Instant>);

impl Told {
    /// Whether to tell of `agent` now; if so the next time is a [`TELL_INTERVAL`] away.
    pub(super) fn due(&mut self, now: Instant, agent: AgentId) -> bool {
        self.0
            .retain(|_, told| now.saturating_duration_since(*told) < TELL_INTERVAL);
        let is_due = self.0.len() < MOST && !self.0.contains_key(&agent);
        if is_due {
            self.0.insert(agent, now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::database::testing::{id, ms};

    #[test]
    fn each_agent_is_told_of_once_in_a_minute() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert!(told.due(now, id(1)));
        assert!(told.due(now + ms(1), id(2)));
        assert!(!told.due(now + ms(59_999), id(1)));
        assert!(told.due(now + ms(60_000), id(1)));
        assert!(!told.due(now + ms(60_000), id(2)));
    }

    #[test]
    fn names_without_end_are_no_lines_without_end() {
        let (mut told, now) = (Told::default(), Instant::now());
        let told_of = |told: &mut Told, now| (0..=255).filter(|n| told.due(now, id(*n))).count();
        assert_eq!(told_of(&mut told, now), MOST);
        assert_eq!(told_of(&mut told, now + ms(30_000)), 0);
        assert_eq!(told_of(&mut told, now + TELL_INTERVAL), MOST);
    }
}

//! What failed sessions end to end though its links look alive: every session of this agent keeps
//! away from it for a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::avoid::Avoid;
use crate::identity::AgentId;

/// How long a path that failed is not preferred. Long against the verdict that left it, so that a
/// path that stays dead costs its sessions little; short against the life of a session.
const SHUN_FAILED: Duration = Duration::from_secs(30);

/// Different failures kept in mind; more push the oldest out.
const MOST: usize = 64;

/// Failures of the last 30 s, the oldest first. Inputs return whether paths are to be computed anew.
#[derive(Debug, Default)]
pub struct Shunned {
    failed: VecDeque<(Instant, Avoid)>,
}

impl Shunned {
    /// A session left a path for which this may be to blame.
    pub fn handle_failed(&mut self, now: Instant, blamed: Avoid) -> bool {
        let before = self.avoid();
        // Many sessions leave one path: they blame the same, and once is enough.
        self.failed.retain(|(_, known)| *known != blamed);
        if self.failed.len() == MOST {
            self.failed.pop_front();
        }
        self.failed.push_back((now + SHUN_FAILED, blamed));
        self.avoid() != before
    }

    /// The link with `neighbor`, which was down, is up: whatever names it gets another chance.
    pub fn handle_link_up(&mut self, neighbor: AgentId) -> bool {
        let before = self.failed.len();
        self.failed.retain(|(_, blamed)| !blamed.names(neighbor));
        self.failed.len() != before
    }

    /// Time passed; due at [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let before = self.failed.len();
        self.failed.retain(|(until, _)| *until > now);
        self.failed.len() != before
    }

    /// When the oldest failure is forgiven.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.failed.front().map(|(until, _)| *until)
    }

    /// Everything that is to be avoided now.
    pub fn avoid(&self) -> Avoid {
        let mut avoid = Avoid::default();
        for (_, blamed) in &self.failed {
            avoid.extend(blamed);
        }
        avoid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::fixture::{Mesh, agent, numbers};
    use crate::routing::{PathChoice, SwitchCause, TAKEOVER_AFTER};

    fn blaming(number: u32) -> Avoid {
        let mut avoid = Avoid::default();
        avoid.insert_agent(agent(number));
        avoid
    }

    #[test]
    fn failures_are_forgiven_in_time_and_by_a_new_link() {
        let start = Instant::now();
        let later = start + Duration::from_secs(10);
        let mut shunned = Shunned::default();
        assert_eq!(shunned.poll_timeout(), None);
        assert!(shunned.handle_failed(start, blaming(1)));
        assert!(shunned.handle_failed(later, blaming(2)));
        assert_eq!(shunned.avoid().agents().count(), 2);
        assert!(!shunned.handle_timeout(start + SHUN_FAILED - Duration::from_millis(1)));
        assert_eq!(shunned.poll_timeout(), Some(start + SHUN_FAILED));
        assert!(shunned.handle_timeout(start + SHUN_FAILED));
        assert_eq!(shunned.avoid(), blaming(2));
        assert!(!shunned.handle_link_up(agent(1)));
        assert!(shunned.handle_link_up(agent(2)));
        assert!(shunned.avoid().is_empty());
        assert_eq!(shunned.poll_timeout(), None);
    }

    #[test]
    fn a_failure_that_many_sessions_report_is_one() {
        let start = Instant::now();
        let mut shunned = Shunned::default();
        assert!(shunned.handle_failed(start, blaming(1)));
        assert!(shunned.handle_failed(start, blaming(2)));
        let later = start + Duration::from_secs(10);
        for _ in 0..200 {
            assert!(!shunned.handle_failed(later, blaming(1)), "nothing new");
        }
        assert_eq!(
            shunned.avoid().agents().count(),
            2,
            "no other is pushed out"
        );
        assert!(shunned.handle_timeout(start + SHUN_FAILED));
        assert_eq!(shunned.avoid(), blaming(1), "renewed");
        assert!(shunned.handle_timeout(later + SHUN_FAILED));
        assert!(shunned.avoid().is_empty());
    }

    #[test]
    fn the_newest_failures_are_remembered() {
        let now = Instant::now();
        let mut shunned = Shunned::default();
        for number in 0..200 {
            shunned.handle_failed(now, blaming(number));
        }
        let named: Vec<AgentId> = shunned.avoid().agents().collect();
        assert_eq!(named, (136..200).map(agent).collect::<Vec<_>>());
    }

    /// Two transits (1, 2) to exit 3, the way over 1 cheaper: whatever the cause, the path that
    /// failed is not returned to before it is forgiven, and then it is.
    #[test]
    fn a_path_that_failed_is_left_until_it_is_forgiven() {
        for reported in [true, false] {
            let start = Instant::now();
            let mut mesh = Mesh::with_links(4, &[(0, 1), (1, 3), (0, 2)]);
            mesh.link(2, 3, 5, 0);
            let mut choice = PathChoice::new(agent(3), 1_200);
            choice.handle_paths(start, &mesh.table(8));
            assert_eq!(choice.poll_event().unwrap().cause, SwitchCause::Found);

            match reported {
                true => choice.handle_path_error(start),
                false => choice.handle_unanswered(start),
            }
            let left = choice.poll_event().unwrap();
            let (from, to) = (left.from.unwrap(), left.to.unwrap());
            let blamed = match reported {
                true => Avoid::reported(agent(1), agent(3)),
                false => Avoid::blaming(agent(0), &from, &to),
            };
            let mut shunned = Shunned::default();
            shunned.handle_failed(start, blamed);
            choice.handle_paths(start, &mesh.table_avoiding(8, shunned.avoid()));
            assert_eq!(choice.poll_timeout(), None, "not tempted back");
            assert_eq!(choice.backup().map(numbers), Some(vec![1, 3]));

            let over = shunned.poll_timeout().unwrap();
            shunned.handle_timeout(over);
            choice.handle_paths(over, &mesh.table_avoiding(8, shunned.avoid()));
            choice.handle_tick(over + TAKEOVER_AFTER);
            assert_eq!(choice.active().map(numbers), Some(vec![1, 3]));
        }
    }
}

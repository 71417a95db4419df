//! Deadlines that our own lateness does not pass.

use std::time::{Duration, Instant};

/// A deadline looked at later than this was slept through: what would have met it may still wait in
/// our own sockets.
const LATE: Duration = Duration::from_millis(15);

/// What the sockets get to hand it over.
const EXCUSE: Duration = Duration::from_millis(20);

/// Judges one kind of deadline.
#[derive(Debug, Default)]
pub(crate) struct Overdue {
    /// A deadline that was looked at late, and when it is looked at again.
    excused: Option<(Instant, Instant)>,
}

impl Overdue {
    /// Whether `deadline` has passed while we were awake.
    pub(crate) fn judge(&mut self, now: Instant, deadline: Instant) -> bool {
        let due = self.due(deadline);
        if now < due {
            return false;
        }
        if due == deadline && now - deadline > LATE {
            self.excused = Some((deadline, now + EXCUSE));
            return false;
        }
        true
    }

    /// When to look at `deadline`.
    pub(crate) fn due(&self, deadline: Instant) -> Instant {
        match self.excused {
            Some((excused, again)) if excused == deadline => again,
            Some(_) | None => deadline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_deadline_passes_when_it_is_looked_at_in_time() {
        let (mut overdue, deadline) = (Overdue::default(), Instant::now() + 50 * MS);
        assert!(!overdue.judge(deadline - MS, deadline));
        assert!(overdue.judge(deadline + 3 * MS, deadline));
    }

    #[test]
    fn a_deadline_that_we_slept_through_is_looked_at_again() {
        let (mut overdue, deadline) = (Overdue::default(), Instant::now() + 50 * MS);
        let late = deadline + 40 * MS;
        assert!(!overdue.judge(late, deadline));
        assert_eq!(overdue.due(deadline), late + EXCUSE);
        assert!(!overdue.judge(late + 19 * MS, deadline));
        assert!(overdue.judge(late + 20 * MS, deadline));
    }

    #[test]
    fn an_excuse_is_for_one_deadline_and_not_for_the_next() {
        let (mut overdue, deadline) = (Overdue::default(), Instant::now() + 50 * MS);
        assert!(!overdue.judge(deadline + 40 * MS, deadline));
        let next = deadline + 45 * MS;
        assert_eq!(overdue.due(next), next);
        assert!(overdue.judge(next, next));
    }

    #[test]
    fn being_late_twice_is_no_second_excuse() {
        let (mut overdue, deadline) = (Overdue::default(), Instant::now() + 50 * MS);
        assert!(!overdue.judge(deadline + 40 * MS, deadline));
        assert!(overdue.judge(deadline + 200 * MS, deadline));
    }
}

//! When the prefix table is built anew: at once where changes are rare, and in a storm of changes so
//! rarely that building takes a tenth of the time at most, whoever makes the storm.

use std::time::{Duration, Instant};

/// Least time between the starts of two builds: as long as links that come up wait to be told.
const LEAST: Duration = Duration::from_millis(100);

/// A build that took a second is followed by nine without one.
const REST: u32 = 9;

/// Whether, and when, the next build is due.
#[derive(Debug)]
pub struct Rebuild {
    /// What it is built from changed since the last start.
    changed: bool,
    /// When the build under way began.
    building: Option<Instant>,
    /// No start before this.
    not_before: Instant,
}

impl Rebuild {
    /// Nothing changed yet, and the first build may start at once.
    pub fn new(now: Instant) -> Self {
        Self {
            changed: false,
            building: None,
            not_before: now,
        }
    }

    /// What the table is built from changed.
    pub fn handle_changed(&mut self) {
        self.changed = true;
    }

    /// Whether to start a build now; its end must be told to [`handle_built`](Self::handle_built).
    pub fn start(&mut self, now: Instant) -> bool {
        let due = self.poll_timeout().is_some_and(|due| due <= now);
        if due {
            self.changed = false;
            self.building = Some(now);
            self.not_before = now + LEAST;
        }
        due
    }

    /// The build that was started has ended.
    pub fn handle_built(&mut self, now: Instant) {
        if let Some(began) = self.building.take() {
            let rest = now.saturating_duration_since(began) * REST;
            self.not_before = self.not_before.max(now + rest);
        }
    }

    /// When [`start`](Self::start) would start one; `None` while nothing changed, or one is under way.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.changed && self.building.is_none()).then_some(self.not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_single_change_is_built_at_once() {
        let now = Instant::now();
        let mut rebuild = Rebuild::new(now);
        assert_eq!(rebuild.poll_timeout(), None);
        assert!(!rebuild.start(now));
        rebuild.handle_changed();
        assert_eq!(rebuild.poll_timeout(), Some(now));
        assert!(rebuild.start(now));
        rebuild.handle_built(now + MS);
        assert_eq!(rebuild.poll_timeout(), None);
    }

    #[test]
    fn what_changes_during_a_build_waits_for_the_next() {
        let now = Instant::now();
        let mut rebuild = Rebuild::new(now);
        rebuild.handle_changed();
        assert!(rebuild.start(now));
        rebuild.handle_changed();
        assert_eq!(rebuild.poll_timeout(), None);
        assert!(!rebuild.start(now + 500 * MS), "one at a time");
        rebuild.handle_built(now + 2 * MS);
        assert_eq!(rebuild.poll_timeout(), Some(now + 100 * MS));
        assert!(!rebuild.start(now + 99 * MS));
        assert!(rebuild.start(now + 100 * MS));
    }

    #[test]
    fn building_takes_a_tenth_of_the_time_at_most() {
        for took in [1, 9, 40, 300] {
            let start = Instant::now();
            let (mut rebuild, mut now, mut built) = (Rebuild::new(start), start, 0);
            while now < start + 60_000 * MS {
                rebuild.handle_changed();
                if rebuild.start(now) {
                    now += took * MS;
                    built += took;
                    rebuild.handle_built(now);
                } else {
                    now += MS;
                }
            }
            assert!(built <= 6_000 + took, "{built} ms in builds of {took} ms");
            assert!(
                built >= 50 * took.min(100),
                "{built} ms in builds of {took} ms"
            );
        }
    }
}

//! How long a session waits for an exit that no path leads to.
//!
//! The times are the larger of those below and a number of round trips: a link of a long path takes
//! as many to be found dead, dialled anew, greeted and told of.

use std::time::{Duration, Instant};

/// A session whose exit is out of sight this long is over: its streams end instead of hanging. A
/// transit that was the only way is back by then if it just restarted.
const OUT_OF_SIGHT: Duration = Duration::from_secs(5);

/// The same in round trips: twice what a new link takes.
const OUT_OF_SIGHT_ROUNDS: u32 = 12;

/// The same if agents that we see have lost the exit: it is most likely dead.
const CUT_OFF: Duration = Duration::from_secs(1);

/// The same in round trips: two for the dial, one for the hello, one for the news, and two more.
const CUT_OFF_ROUNDS: u32 = 6;

/// Since when an exit is out of reach, and how.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// There is no path.
    pathless: Option<Instant>,
    /// Agents in reach have lost the exit.
    cut_off: Option<Instant>,
}

impl Reach {
    /// Whether the session has a path now.
    pub(crate) fn handle_path(&mut self, now: Instant, has_path: bool) {
        self.pathless = self.pathless.or(Some(now)).filter(|_| !has_path);
    }

    /// Whether agents in reach have lost the exit by now.
    pub(crate) fn handle_cut_off(&mut self, now: Instant, cut_off: bool) {
        self.cut_off = self.cut_off.or(Some(now)).filter(|_| cut_off);
    }

    /// When the session is over, if its exit stays out of reach. `rtt` is the round trip that it had.
    pub(crate) fn given_up_at(&self, rtt: Duration) -> Option<Instant> {
        let out_of_sight = self.pathless? + OUT_OF_SIGHT.max(rtt * OUT_OF_SIGHT_ROUNDS);
        let cut_off = CUT_OFF.max(rtt * CUT_OFF_ROUNDS);
        let cut_off = self.cut_off.map(|since| since + cut_off);
        Some(cut_off.map_or(out_of_sight, |at| at.min(out_of_sight)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn an_exit_out_of_sight_has_five_seconds_from_the_first_moment() {
        let (mut reach, start) = (Reach::default(), Instant::now());
        assert_eq!(reach.given_up_at(SHORT), None);
        reach.handle_path(start, false);
        reach.handle_path(start + 500 * MS, false);
        assert_eq!(reach.given_up_at(SHORT), Some(start + 5_000 * MS));
        reach.handle_path(start + 600 * MS, true);
        assert_eq!(reach.given_up_at(SHORT), None);
    }

    #[test]
    fn one_that_others_lost_has_a_second_but_only_without_a_path() {
        let (mut reach, start) = (Reach::default(), Instant::now());
        reach.handle_cut_off(start, true);
        assert_eq!(reach.given_up_at(SHORT), None);
        reach.handle_path(start + 200 * MS, false);
        reach.handle_cut_off(start + 300 * MS, true);
        assert_eq!(reach.given_up_at(SHORT), Some(start + 1_000 * MS));
        let far = Duration::from_millis(600);
        assert_eq!(reach.given_up_at(far), Some(start + 3_600 * MS));
        reach.handle_cut_off(start + 400 * MS, false);
        assert_eq!(reach.given_up_at(far), Some(start + 7_400 * MS));
        assert_eq!(reach.given_up_at(SHORT), Some(start + 5_200 * MS));
    }
}

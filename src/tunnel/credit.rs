//! What others may make one session do by their word alone: mirror, because the peer doubts the path
//! or a transit reports that it cannot forward; kick, because the peer moved. A token bucket whose
//! tokens are time.

use std::time::{Duration, Instant};

/// What there is at first and at most. The longest doubt of an honest peer ends with its session,
/// 5 s after the other end went out of reach.
const MOST: Duration = Duration::from_secs(10);

/// It earns a second in so many: a session mirrors for a tenth of its life at most because its peer
/// says so.
const EARNED_IN: u32 = 10;

/// What each request costs beside its duration: rooms, kicks and log lines are not free, however
/// soon it is over. 50 at once, then one every two seconds.
const REQUEST: Duration = Duration::from_millis(200);

/// Credit of one source of such words.
#[derive(Debug)]
pub(super) struct Credit {
    left: Duration,
    /// When `left` was right.
    at: Instant,
    /// It is being spent: we mirror.
    spending: bool,
}

impl Credit {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: MOST,
            at: now,
            spending: false,
        }
    }

    /// Pays for one request; `false`: there is not enough left.
    pub(super) fn buy(&mut self, now: Instant) -> bool {
        self.settle(now);
        let rest = self.left.checked_sub(REQUEST);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    /// Pays for a request that lasts until [`end`](Self::end); `false`: there is not enough left.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let bought = self.buy(now);
        self.spending |= bought;
        bought
    }

    /// What was begun, if anything, is over.
    pub(super) fn end(&mut self, now: Instant) {
        self.settle(now);
        self.spending = false;
    }

    /// When what was begun must end; `None`: nothing was.
    pub(super) fn spent_at(&self) -> Option<Instant> {
        self.spending.then(|| self.at + self.left)
    }

    fn settle(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        self.left = match self.spending {
            true => self.left.saturating_sub(passed),
            false => MOST.min(self.left + passed / EARNED_IN),
        };
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_request_may_last_until_nothing_is_left() {
        let now = Instant::now();
        let mut credit = Credit::new(now);
        assert_eq!(credit.spent_at(), None);
        assert!(credit.begin(now));
        assert_eq!(credit.spent_at(), Some(now + MOST - REQUEST));
        credit.end(now + 800 * MS);
        assert_eq!(credit.spent_at(), None);
        assert!(credit.begin(now + 800 * MS));
        let rest = MOST - 2 * REQUEST - 800 * MS;
        assert_eq!(credit.spent_at(), Some(now + 800 * MS + rest));
    }

    #[test]
    fn who_asks_for_ever_gets_a_tenth_of_the_time() {
        let start = Instant::now();
        let mut credit = Credit::new(start);
        let (mut mirrored, mut mirroring) = (Duration::ZERO, false);
        let hour = Duration::from_secs(3_600);
        for step in 0..hour.as_millis() as u32 / 20 {
            let now = start + step * 20 * MS;
            if mirroring && credit.spent_at().is_some_and(|at| now >= at) {
                credit.end(now);
                mirroring = false;
            }
            mirroring = mirroring || credit.begin(now);
            mirrored += if mirroring { 20 * MS } else { Duration::ZERO };
        }
        assert!(mirrored <= MOST + hour / EARNED_IN, "{mirrored:?}");
    }

    #[test]
    fn requests_that_are_over_at_once_are_bounded_too() {
        let start = Instant::now();
        let mut credit = Credit::new(start);
        let granted = |credit: &mut Credit, now| (0..1_000).filter(|_| credit.buy(now)).count();
        assert_eq!(granted(&mut credit, start), 50);
        assert_eq!(granted(&mut credit, start + Duration::from_secs(20)), 10);
        let day = start + Duration::from_secs(86_400);
        assert_eq!(granted(&mut credit, day), 50);
    }
}

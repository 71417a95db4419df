//! What others may make one session do by their word alone: mirror, because the peer doubts the path,
//! will not say that it is sound, or a transit reports that it cannot forward; kick, because the peer
//! moved. A token bucket whose tokens are time.

use std::time::{Duration, Instant};

/// What there is at first, and at most on a short path: many times what an honest peer's doubt takes
/// where another path answers, the time of a verdict. Where none does, its doubt may outlast this.
const MOST: Duration = Duration::from_secs(10);

/// What there is at most in round trips, of which a verdict takes two and its news one more: at 3 s of
/// round trip as many doubts as at 600 ms.
const MOST_ROUNDS: u32 = 16;

/// Round trips that count at most: a peer that delays its answers seems far away.
const LONGEST_RTT: Duration = Duration::from_secs(3);

/// It earns a second in so many: a session mirrors for a tenth of its life at most because its peer
/// says so.
const EARNED_IN: u32 = 10;

/// What a request to mirror costs beside its duration, however soon it is over, because it kicks: the
/// least time between two kicks. So kicks at a peer's word take a tenth of the time, too; and a
/// session that loses so many packets that it is doubted once a second, for 50 ms, keeps its credit.
const REQUEST: Duration = Duration::from_millis(20);

/// What a move costs, which is logged and recorded beside. 50 at once, then one every two seconds: one
/// session needs seven minutes to push all others out of the 256 failovers that are remembered.
const MOVE: Duration = Duration::from_millis(200);

/// A request begins only with so much left: longer than a verdict takes at the default heartbeat. With
/// less it would be over before it was of use, and its cost would eat up what is earned.
const ENOUGH: Duration = Duration::from_secs(1);

/// The same in round trips.
const ENOUGH_ROUNDS: u32 = 3;

/// Credit of one source of such words.
#[derive(Debug)]
pub(crate) struct Credit {
    left: Duration,
    rtt: Duration,
    /// When `left` was right.
    at: Instant,
    /// It is being spent: we mirror.
    spending: bool,
}

impl Credit {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            left: MOST,
            rtt: Duration::ZERO,
            at: now,
            spending: false,
        }
    }

    /// The path's round trip, which all times follow.
    pub(crate) fn handle_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt.min(LONGEST_RTT);
    }

    /// Pays for a move; `false`: there is not enough left.
    pub(crate) fn pay_move(&mut self, now: Instant) -> bool {
        self.settle(now);
        let rest = self.left.checked_sub(MOVE);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    /// Pays for a request that lasts until [`end`](Self::end); `false`: there is not enough left.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        self.settle(now);
        let enough = self.left >= ENOUGH.max(self.rtt * ENOUGH_ROUNDS);
        if enough {
            self.left -= REQUEST;
            self.spending = true;
        }
        enough
    }

    /// From now on pays for what goes on anyway, until [`end`](Self::end): it is spent by its duration
    /// alone.
    pub(crate) fn spend(&mut self, now: Instant) {
        self.settle(now);
        self.spending = true;
    }

    /// What was begun, if anything, is over.
    pub(crate) fn end(&mut self, now: Instant) {
        self.settle(now);
        self.spending = false;
    }

    /// When what was begun must end; `None`: nothing was.
    pub(crate) fn spent_at(&self) -> Option<Instant> {
        self.spending.then(|| self.at + self.left)
    }

    fn settle(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        self.left = match self.spending {
            true => self.left.saturating_sub(passed),
            false => {
                let most = MOST.max(self.rtt * MOST_ROUNDS).max(self.left);
                most.min(self.left + passed / EARNED_IN)
            }
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
    fn who_asks_for_ever_gets_about_a_tenth_of_the_time() {
        let start = Instant::now();
        let mut credit = Credit::new(start);
        let (mut mirrored, mut requests, mut mirroring) = (Duration::ZERO, 0, false);
        let hour = Duration::from_secs(3_600);
        for step in 0..hour.as_millis() as u32 / 20 {
            let now = start + step * 20 * MS;
            if mirroring && credit.spent_at().is_some_and(|at| now >= at) {
                credit.end(now);
                mirroring = false;
            }
            if !mirroring {
                mirroring = credit.begin(now);
                requests += u32::from(mirroring);
            }
            mirrored += if mirroring { 20 * MS } else { Duration::ZERO };
        }
        assert!(mirrored <= MOST + hour / EARNED_IN, "{mirrored:?}");
        assert!(mirrored >= hour / 12, "{mirrored:?}");
        assert!(requests <= 360, "{requests} requests");
    }

    #[test]
    fn short_doubts_once_a_second_leave_enough_for_a_long_one() {
        let start = Instant::now();
        let mut credit = Credit::new(start);
        for second in 0..3_600 {
            let now = start + second * 1_000 * MS;
            assert!(credit.begin(now), "after {second} s");
            credit.end(now + 50 * MS);
        }
        let now = start + 3_600 * 1_000 * MS;
        assert!(credit.begin(now));
        assert!(credit.spent_at().unwrap() >= now + 5_000 * MS);
    }

    /// On a path of 3 s a doubt that another path answers takes nine.
    #[test]
    fn on_a_long_path_doubts_take_longer_and_their_share_is_the_same() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut credit = Credit::new(start);
        credit.handle_rtt(3 * second);
        assert!(credit.begin(start));
        credit.end(start + 9 * second);
        assert!(
            !credit.begin(start + 9 * second),
            "it would be over too soon"
        );
        let rested = start + 600 * second;
        for doubt in 0..4 {
            assert!(credit.begin(rested + doubt * 9 * second), "doubt {doubt}");
            credit.end(rested + (doubt + 1) * 9 * second);
        }
        // Round trips that come and go earn nothing.
        let mut credit = Credit::new(start);
        for _ in 0..100 {
            credit.handle_rtt(3 * second);
            credit.handle_rtt(Duration::ZERO);
        }
        assert!(credit.begin(start));
        assert!(credit.spent_at().unwrap() <= start + MOST);
    }

    #[test]
    fn moves_are_bounded() {
        let start = Instant::now();
        let mut credit = Credit::new(start);
        let granted =
            |credit: &mut Credit, now| (0..1_000).filter(|_| credit.pay_move(now)).count();
        assert_eq!(granted(&mut credit, start), 50);
        assert_eq!(granted(&mut credit, start + Duration::from_secs(20)), 10);
        let day = start + Duration::from_secs(86_400);
        assert_eq!(granted(&mut credit, day), 50);
    }
}

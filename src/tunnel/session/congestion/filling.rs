//! Whether startup fills a queue instead of the path.
//!
//! Rounds that bring no higher rate tell it, too, but they get longer with that queue: three of them
//! are six round trips, and what overflows meanwhile is missed for as long again.

use std::time::{Duration, Instant};

/// Growth of the rate in a round trip below which the path may be full: startup doubles it, and on a
/// path with as much jitter as delay makes a fifth more of it.
const GROWTH: f64 = 1.1;

/// Round trips seen in one at least, and the part of the least one by which all of them are longer
/// (RFC 9406 section 4.2: 8 and an eighth).
const SAMPLES: u32 = 8;
const LONGER: f64 = 1.0 + 1.0 / 8.0;

/// And by this: on a short path three rounds are soon over, and a path that only became longer has no
/// queue.
const LONGER_BY: Duration = Duration::from_millis(50);

/// Of the longest round trip in one, what the shortest in the next one reaches where a queue grew.
/// Jitter without a queue has short ones every time.
const STAYS: f64 = 0.9;

/// Looks once in a round trip.
#[derive(Clone, Debug)]
pub(super) struct Filling {
    at: Instant,
    /// The rate at the last look.
    rate: f64,
    /// Since the last look: the shortest and the longest round trip.
    seen: Option<(Duration, Duration)>,
    samples: u32,
    /// The longest round trip before the last look.
    before: Option<Duration>,
    /// The last look saw a queue, too: one alone may be jitter.
    queued: bool,
}

impl Filling {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at: now,
            rate: 0.0,
            seen: None,
            samples: 0,
            before: None,
            queued: false,
        }
    }

    /// A round trip was seen. `rate` is the most that came through so far, `least` the shortest round
    /// trip of the path, `usual` one of late. Returns whether more in flight became a queue.
    pub(super) fn handle_rtt(
        &mut self,
        now: Instant,
        rtt: Duration,
        rate: f64,
        least: Duration,
        usual: Duration,
    ) -> bool {
        self.samples += 1;
        let (shortest, longest) = self.seen.unwrap_or((rtt, rtt));
        let (shortest, longest) = (shortest.min(rtt), longest.max(rtt));
        self.seen = Some((shortest, longest));
        if now.saturating_duration_since(self.at) < usual {
            return false;
        }
        let grew = rate >= self.rate * GROWTH;
        let is_long = shortest > least.mul_f64(LONGER) + LONGER_BY;
        let stays = self
            .before
            .is_some_and(|before| shortest >= before.mul_f64(STAYS));
        let is_queue = !grew && is_long && stays && self.samples >= SAMPLES;
        let twice = is_queue && self.queued;
        *self = Self {
            at: now,
            rate,
            seen: None,
            samples: 0,
            before: Some(longest),
            queued: is_queue,
        };
        twice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Feeds a round trip and a rate for every ms; returns after how many ms a queue was told.
    fn told(rtt: impl Fn(u32) -> Duration, rate: impl Fn(u32) -> f64) -> Option<u32> {
        let start = Instant::now();
        let mut filling = Filling::new(start);
        (0..3_000).find(|&ms| {
            let now = start + ms * MS;
            filling.handle_rtt(now, rtt(ms), rate(ms), 100 * MS, 100 * MS)
        })
    }

    #[test]
    fn a_growing_queue_at_a_full_rate_is_told_within_four_round_trips() {
        let at = told(|ms| 100 * MS + ms * MS / 2, |_| 1e6);
        assert!(at.is_some_and(|at| at <= 400), "{at:?}");
    }

    #[test]
    fn neither_a_queue_nor_a_full_rate_is_enough() {
        assert_eq!(
            told(|ms| 100 * MS + ms * MS, |ms| 1.002_f64.powi(ms as i32)),
            None
        );
        assert_eq!(told(|_| 150 * MS, |_| 1e6), None);
    }

    #[test]
    fn jitter_is_no_queue() {
        // Between one and two round trips, and short ones now and then.
        let rtt = |ms: u32| (165 + ms * 37 % 100) * MS;
        assert_eq!(told(rtt, |_| 1e6), None);
    }
}

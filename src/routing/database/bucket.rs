//! A token bucket that is handed the time.

use std::time::Instant;

/// Allows `rate` units per second on average and a burst at once.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: u64,
    burst_milli: u64,
    /// Units left, in thousandths, so that slow rates refill between close calls.
    level_milli: u64,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket of one second's worth; `rate` in units per second.
    pub fn new(now: Instant, rate: u64) -> Self {
        Self::with_burst(now, rate, rate)
    }

    /// A full bucket of `burst` units.
    pub fn with_burst(now: Instant, rate: u64, burst: u64) -> Self {
        let burst_milli = burst.saturating_mul(1_000);
        Self {
            rate,
            burst_milli,
            level_milli: burst_milli,
            filled: now,
        }
    }

    /// Takes `units` if they are there; takes nothing if not.
    pub fn take(&mut self, now: Instant, units: u64) -> bool {
        let allowed = self.has(now, units);
        if allowed {
            self.level_milli -= units.saturating_mul(1_000);
        }
        allowed
    }

    /// Takes as many of `units` as are there.
    pub fn take_some(&mut self, now: Instant, units: u64) -> u64 {
        let taken = if self.has(now, units) {
            units
        } else {
            self.level_milli / 1_000
        };
        self.level_milli -= taken * 1_000;
        taken
    }

    /// Whether `units` are there.
    pub fn has(&mut self, now: Instant, units: u64) -> bool {
        let elapsed = now.saturating_duration_since(self.filled).as_millis();
        if elapsed > 0 {
            let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
            self.level_milli = self
                .level_milli
                .saturating_add(self.rate.saturating_mul(elapsed))
                .min(self.burst_milli);
            self.filled = now;
        }
        units.saturating_mul(1_000) <= self.level_milli
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_of_one_second_then_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start, 10);
        assert!(bucket.take(start, 10));
        assert!(!bucket.take(start, 1));
        let later = start + Duration::from_millis(100);
        assert!(bucket.take(later, 1));
        assert!(!bucket.take(later, 1));
        let much_later = start + Duration::from_secs(3_600);
        assert!(
            !bucket.take(much_later, 11),
            "never more than a second's worth"
        );
        assert!(bucket.take(much_later, 10), "a refusal takes nothing");
    }

    #[test]
    fn what_is_there_can_be_taken() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start, 10);
        assert_eq!(bucket.take_some(start, 4), 4);
        assert_eq!(bucket.take_some(start, 40), 6);
        assert_eq!(bucket.take_some(start, 40), 0);
        let later = start + Duration::from_millis(250);
        assert_eq!(bucket.take_some(later, 40), 2);
    }
}

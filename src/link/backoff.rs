//! Delays between attempts to reach a peer: exponential, jittered, bounded.

use std::time::Duration;

use crate::config::Reconnect;

/// The state of one peer's back-off.
#[derive(Clone, Debug)]
pub struct Backoff {
    settings: Reconnect,
    attempts: u32,
    delay: Duration,
}

impl Backoff {
    /// Starts at `initial_delay`.
    pub fn new(settings: Reconnect) -> Self {
        Self {
            delay: settings.initial_delay,
            settings,
            attempts: 0,
        }
    }

    /// Attempts since the last [`reset`](Self::reset).
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long to wait before the next attempt; `None` when `max_retries` attempts were made.
    /// `random` is uniform in `0.0..1.0` and spreads the delay by the configured jitter.
    pub fn next_delay(&mut self, random: f64) -> Option<Duration> {
        if self
            .settings
            .max_retries
            .is_some_and(|most| self.attempts >= most)
        {
            return None;
        }
        self.attempts = self.attempts.saturating_add(1);
        let delay = self.delay;
        self.delay = delay
            .mul_f64(self.settings.multiplier)
            .min(self.settings.max_delay);
        let spread = 1.0 + self.settings.jitter * (2.0 * random - 1.0);
        Some(delay.mul_f64(spread).min(self.settings.max_delay))
    }

    /// The peer was reached.
    pub fn reset(&mut self) {
        self.attempts = 0;
        self.delay = self.settings.initial_delay;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Reconnect {
        Reconnect {
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(5),
            multiplier: 2.0,
            jitter: 0.5,
            max_retries: None,
        }
    }

    fn secs(backoff: &mut Backoff, random: f64) -> f64 {
        backoff.next_delay(random).unwrap().as_secs_f64()
    }

    #[test]
    fn delays_grow_to_the_cap_and_start_over() {
        let mut backoff = Backoff::new(settings());
        let seen: Vec<f64> = (0..5).map(|_| secs(&mut backoff, 0.5)).collect();
        assert_eq!(seen, [1.0, 2.0, 4.0, 5.0, 5.0]);
        backoff.reset();
        assert_eq!(secs(&mut backoff, 0.5), 1.0);
    }

    #[test]
    fn jitter_spreads_both_ways_and_stays_below_the_cap() {
        assert_eq!(secs(&mut Backoff::new(settings()), 0.0), 0.5);
        assert!((secs(&mut Backoff::new(settings()), 0.999_999) - 1.5).abs() < 0.001);
        let mut backoff = Backoff::new(settings());
        for _ in 0..4 {
            secs(&mut backoff, 0.5);
        }
        assert_eq!(secs(&mut backoff, 0.9), 5.0);
    }

    #[test]
    fn max_retries_ends_it() {
        let mut backoff = Backoff::new(Reconnect {
            max_retries: Some(2),
            ..settings()
        });
        assert!(backoff.next_delay(0.5).is_some());
        assert!(backoff.next_delay(0.5).is_some());
        assert!(backoff.next_delay(0.5).is_none());
    }
}

//! Delays between attempts to reach a peer: exponential, jittered, bounded. The first attempt after
//! a link that need not have ended comes early.

use std::time::Duration;

use crate::config::Reconnect;

/// A link that lived this long counts as reached: the next delay is the first one again. A shorter
/// one keeps the back-off, or a peer that drops us at once would be dialled in a circle. Twice as long
/// as a link that flaps is held back where nothing else leads to the neighbour: it carried something.
const LIVED: Duration = Duration::from_secs(2);

/// Spreads the early attempts of all neighbours of one agent that stood still. Short against the
/// 300 ms after which silence ends a link at default settings.
const SPREAD: Duration = Duration::from_millis(50);

/// The state of one peer's back-off.
#[derive(Clone, Debug)]
pub struct Backoff {
    settings: Reconnect,
    attempts: u32,
    delay: Duration,
    /// How long the next attempt waits at least, if it need not wait for `delay`.
    early: Option<Duration>,
}

impl Backoff {
    /// Starts at `initial_delay`.
    pub fn new(settings: Reconnect) -> Self {
        Self {
            delay: settings.initial_delay,
            settings,
            attempts: 0,
            early: None,
        }
    }

    /// Attempts since the peer was last reached.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long to wait before the next attempt; `None` when `max_retries` attempts were made.
    /// `random` is uniform in `0.0..1.0` and spreads the delay by the configured jitter.
    pub fn next_delay(&mut self, random: f64) -> Option<Duration> {
        if let Some(early) = self.early.take() {
            return Some((early + SPREAD.mul_f64(random)).min(self.settings.initial_delay));
        }
        if self
            .settings
            .max_retries
            .is_some_and(|most| self.attempts >= most)
        {
            return None;
        }
        self.attempts = self.attempts.saturating_add(1);
        let delay = self.delay;
        self.grow();
        let spread = 1.0 + self.settings.jitter * (2.0 * random - 1.0);
        Some(delay.mul_f64(spread).min(self.settings.max_delay))
    }

    /// A link with the peer ended after it had `lived`. `back_after`: the peer may be there again
    /// after that; `None`: one end did not want the other.
    ///
    /// A link that lived as long as the next attempt would wait allows one early attempt, which
    /// counts as none: so one that comes and goes is dialled no more often than the file says, and
    /// whoever refuses us is left alone as long as ever.
    pub fn handle_link_end(&mut self, lived: Duration, back_after: Option<Duration>) {
        if lived >= LIVED {
            self.attempts = 0;
            self.delay = self.settings.initial_delay;
        }
        self.early = back_after.filter(|_| lived >= self.delay);
        if self.early.is_some() && lived < LIVED {
            self.grow();
        }
    }

    /// We stood still: what was learnt of the peer before is out of date, and the next attempt comes at
    /// once.
    pub fn handle_standstill(&mut self) {
        self.attempts = 0;
        self.delay = self.settings.initial_delay;
        self.early = Some(Duration::ZERO);
    }

    fn grow(&mut self) {
        self.delay = self
            .delay
            .mul_f64(self.settings.multiplier)
            .min(self.settings.max_delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: Option<Duration> = Some(Duration::ZERO);

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
        backoff.handle_link_end(LIVED - Duration::from_millis(1), None);
        assert_eq!(secs(&mut backoff, 0.5), 5.0);
        backoff.handle_link_end(LIVED, None);
        assert_eq!(backoff.attempts(), 0);
        assert_eq!(secs(&mut backoff, 0.5), 1.0);
    }

    #[test]
    fn a_link_that_need_not_have_ended_is_dialled_early_once() {
        let mut backoff = Backoff::new(settings());
        backoff.handle_link_end(Duration::from_secs(60), SILENT);
        assert_eq!(secs(&mut backoff, 0.5), 0.025);
        assert_eq!(backoff.attempts(), 0);
        assert_eq!(secs(&mut backoff, 0.5), 1.0);
        // One that lived as long as the next delay, but too briefly for the first one again.
        backoff.handle_link_end(LIVED - Duration::from_millis(1), SILENT);
        assert_eq!(secs(&mut backoff, 0.5), 2.0);
        let mut backoff = Backoff::new(settings());
        backoff.handle_link_end(Duration::from_millis(1_500), SILENT);
        assert!(secs(&mut backoff, 0.999) < 0.05);
        assert_eq!(secs(&mut backoff, 0.5), 2.0);
        // One whose neighbour starts again.
        backoff.handle_link_end(Duration::from_secs(60), Some(Duration::from_millis(250)));
        assert_eq!(secs(&mut backoff, 0.5), 0.275);
    }

    #[test]
    fn a_link_that_comes_and_goes_is_dialled_ever_later() {
        let mut backoff = Backoff::new(Reconnect {
            initial_delay: Duration::from_millis(100),
            ..settings()
        });
        let seen: Vec<f64> = (0..7)
            .map(|_| {
                backoff.handle_link_end(Duration::from_millis(300), SILENT);
                secs(&mut backoff, 0.5)
            })
            .collect();
        assert_eq!(seen, [0.025, 0.025, 0.4, 0.8, 1.6, 3.2, 5.0]);
    }

    /// As `flapping` does: five seconds up, one down, of which the link needs some to come back.
    #[test]
    fn a_link_that_lives_for_seconds_is_dialled_at_once_for_ever() {
        let mut backoff = Backoff::new(settings());
        for _ in 0..20 {
            backoff.handle_link_end(Duration::from_millis(4_500), SILENT);
            assert!(secs(&mut backoff, 0.999) < 0.05);
        }
    }

    #[test]
    fn a_link_that_was_short_or_was_ended_keeps_the_delay() {
        for (lived, back_after) in [(999, SILENT), (0, SILENT), (60_000, None)] {
            let mut backoff = Backoff::new(settings());
            backoff.handle_link_end(Duration::from_millis(lived), back_after);
            assert_eq!(secs(&mut backoff, 0.5), 1.0, "{lived} {back_after:?}");
        }
    }

    #[test]
    fn no_link_is_dialled_more_often_than_the_file_says() {
        for back_after in [SILENT, Some(Duration::from_millis(250))] {
            let mut backoff = Backoff::new(Reconnect {
                initial_delay: Duration::from_millis(10),
                ..settings()
            });
            backoff.handle_link_end(Duration::from_millis(10), back_after);
            assert!(secs(&mut backoff, 0.999) <= 0.01);
        }
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
    fn after_a_standstill_it_starts_over_at_once() {
        let mut backoff = Backoff::new(settings());
        for _ in 0..5 {
            secs(&mut backoff, 0.5);
        }
        backoff.handle_standstill();
        assert_eq!(backoff.attempts(), 0);
        assert!(secs(&mut backoff, 0.999) < 0.05);
        assert_eq!(secs(&mut backoff, 0.5), 1.0);
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

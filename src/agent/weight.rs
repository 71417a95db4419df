//! How much of the agent is free, for HAProxy's `agent-check`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A share of the processor is one of so long at least: shorter ones jump.
const WINDOW: Duration = Duration::from_secs(1);

/// Percent from one weight to the next, so that a balancer does not move with every packet.
const STEP: f64 = 5.0;

/// What the processor's share was last.
#[derive(Debug)]
pub(super) struct Weight(Mutex<Sample>);

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    /// What the process had used by then.
    used: Duration,
    /// Of one core, in the window before.
    share: f64,
}

impl Weight {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Sample {
            at: now,
            used: used(),
            share: 0.0,
        }))
    }

    /// Percent that are free of what is scarcest: the core that the agent can use, or `places`, the
    /// share of its connections that are taken. Never less than 1, which takes what nobody else can.
    pub(super) fn percent(&self, now: Instant, places: f64) -> u8 {
        let mut sample = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sample = sample.after(now, used());
        percent(sample.share.max(places))
    }
}

impl Sample {
    fn after(self, now: Instant, used: Duration) -> Self {
        let passed = now.saturating_duration_since(self.at);
        if passed < WINDOW {
            return self;
        }
        let share = used.saturating_sub(self.used).as_secs_f64() / passed.as_secs_f64();
        Self {
            at: now,
            used,
            share,
        }
    }
}

fn percent(load: f64) -> u8 {
    let free = (1.0 - load.clamp(0.0, 1.0)) * 100.0;
    let stepped = (free / STEP).round() * STEP;
    stepped.max(1.0) as u8
}

/// Processor time of this process.
fn used() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let whole = Duration::from_secs(used.tv_sec.unsigned_abs());
    whole + Duration::from_nanos(used.tv_nsec.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_missing_and_something_is_always_left() {
        for (load, expected) in [
            (0.0, 100),
            (0.01, 100),
            (0.25, 75),
            (0.5, 50),
            (0.97, 5),
            (1.0, 1),
            (3.0, 1),
        ] {
            assert_eq!(percent(load), expected, "{load}");
        }
    }

    #[test]
    fn the_share_is_that_of_the_last_second() {
        let start = crate::clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let sample = Sample {
            at: start,
            used: Duration::ZERO,
            share: 0.3,
        };
        let early = sample.after(at(900), Duration::from_millis(900));
        assert_eq!(early.share, 0.3);
        let sample = sample.after(at(2_000), Duration::from_millis(500));
        assert_eq!(sample.share, 0.25);
        assert_eq!(
            sample.after(at(4_000), Duration::from_millis(500)).share,
            0.0
        );
    }
}

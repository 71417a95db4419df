//! Log lines of which strangers cause any number, at a rate that a flood cannot abuse.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Lines at once: what one person mistypes is told line by line.
const BURST: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

/// Then one each, with the count of those between: 360 lines an hour at most.
const EVERY: Duration = Duration::from_secs(10);

/// The turns of one kind of line.
#[derive(Debug)]
pub struct Told {
    lines: DefaultDirectRateLimiter,
    untold: AtomicU64,
}

impl Default for Told {
    fn default() -> Self {
        let quota = Quota::with_period(EVERY).expect("not zero");
        Self {
            lines: RateLimiter::direct(quota.allow_burst(BURST)),
            untold: AtomicU64::new(0),
        }
    }
}

impl Told {
    /// Asks for a line. `Some`: write it, and say that so many were not written since the last one.
    pub fn turn(&self) -> Option<u64> {
        match self.lines.check() {
            Ok(()) => Some(self.untold.swap(0, Ordering::Relaxed)),
            Err(_) => {
                self.untold.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_a_few_lines_and_the_rest_is_counted() {
        let told = Told::default();
        let lines: Vec<_> = (0..1_000).filter_map(|_| told.turn()).collect();
        assert_eq!(lines, [0; 5]);
        assert_eq!(told.untold.load(Ordering::Relaxed), 995);
    }
}

//! The log of refused logins, at a rate that a flood cannot abuse.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tracing::warn;

use super::Verdict;

/// Lines at once: what one person mistypes is told line by line.
const BURST: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

/// Then one each, with the count of those between: 360 lines an hour at most.
const EVERY: Duration = Duration::from_secs(10);

/// Tells the log of refused logins. Names are left out: passwords are typed into their place.
pub(super) struct Told {
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
    pub(super) fn refused(&self, door: &'static str, source: IpAddr, verdict: Verdict) {
        let untold = match self.lines.check() {
            Ok(()) => self.untold.swap(0, Ordering::Relaxed),
            Err(_) => {
                self.untold.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        let why = match verdict {
            Verdict::TooOften => "too many failed or wait",
            Verdict::Wrong | Verdict::Valid => "wrong name or secret",
        };
        warn!(door, %source, why, untold, "login refused");
    }
}

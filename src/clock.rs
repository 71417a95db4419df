//! The two clocks: monotonic time, which every timer and every deadline goes by, and wall-clock time
//! since the Unix epoch (seconds, as certificates count it, and milliseconds), which may jump.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Monotonic now, as tokio's timers count it: in a test with a paused clock both stand still
/// together.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long ago `at` was. `Instant::elapsed` asks a clock that does not stop.
pub fn since(at: Instant) -> Duration {
    now().saturating_duration_since(at)
}

/// Time that may pass, of which only what this process is awake for counts: who was stopped or
/// suspended for a minute would otherwise find every wait over that others could still have ended.
#[derive(Clone, Debug)]
pub struct Allowance(Duration);

/// Into so many parts an [`Allowance`] is cut. A standstill costs one of them at most.
const PARTS: u32 = 10;

impl Allowance {
    /// So much.
    pub fn new(time: Duration) -> Self {
        Self(time)
    }

    /// Whether it is used up.
    pub fn is_over(&self) -> bool {
        self.0.is_zero()
    }

    /// Takes what passes until `future` is done from it; `None`: it was used up before.
    pub async fn spend<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let part = (self.0 / PARTS).max(Duration::from_millis(1));
        while !self.is_over() {
            let (begun, part) = (now(), part.min(self.0));
            let done = tokio::time::timeout(part, &mut future).await;
            self.0 -= since(begun).min(part);
            if let Ok(done) = done {
                return Some(done);
            }
        }
        None
    }
}

/// What `future` gives, unless that takes more than `time`, standstills not counted.
pub async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    Allowance::new(time).spend(future).await
}

/// Seconds since the Unix epoch; 0 on a clock that stands before it.
pub fn unix_now() -> u64 {
    unix_ms() / 1_000
}

/// Milliseconds since the Unix epoch; 0 on a clock that stands before it.
pub fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// `unix` seconds as `2025-11-21T10:00:00Z`, or as a plain number past the year 9999.
pub fn format_date(unix: u64) -> String {
    i64::try_from(unix)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|date| date.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{unix} s after 1970"))
}

/// `unix_ms` as `2025-11-21T10:00:00.250Z`.
pub fn format_time(unix_ms: u64) -> String {
    let date = format_date(unix_ms / 1_000);
    match date.strip_suffix('Z') {
        Some(date) => format!("{date}.{:03}Z", unix_ms % 1_000),
        None => date,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn an_allowance_is_spent_in_one_or_several_waits() {
        let begun = now();
        let mut allowance = Allowance::new(2 * SECOND);
        let third = tokio::time::sleep(SECOND / 3);
        assert_eq!(allowance.spend(third).await, Some(()));
        assert_eq!(allowance.spend(std::future::pending::<()>()).await, None);
        let took = since(begun);
        assert!(
            (2 * SECOND..2 * SECOND + SECOND / 20).contains(&took),
            "{took:?}"
        );
        assert!(allowance.is_over());
        assert_eq!(allowance.spend(async {}).await, None);
        assert_eq!(within(Duration::ZERO, async {}).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_standstill_spends_a_tenth_of_it_at_most() {
        let mut allowance = Allowance::new(2 * SECOND);
        let standing = async {
            tokio::time::sleep(SECOND / 2).await;
            // Nothing else runs meanwhile.
            tokio::time::advance(60 * SECOND).await;
            tokio::time::sleep(SECOND).await;
        };
        assert_eq!(allowance.spend(standing).await, Some(()));
        assert!(!allowance.is_over());
    }

    #[test]
    fn dates_print_in_utc_and_never_fail() {
        assert_eq!(format_date(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_date(1_763_719_200), "2025-11-21T10:00:00Z");
        assert_eq!(format_date(u64::MAX), format!("{} s after 1970", u64::MAX));
        assert_eq!(format_time(1_763_719_200_025), "2025-11-21T10:00:00.025Z");
        assert!(format_time(u64::MAX).ends_with("s after 1970"));
    }
}

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

    #[test]
    fn dates_print_in_utc_and_never_fail() {
        assert_eq!(format_date(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_date(1_763_719_200), "2025-11-21T10:00:00Z");
        assert_eq!(format_date(u64::MAX), format!("{} s after 1970", u64::MAX));
        assert_eq!(format_time(1_763_719_200_025), "2025-11-21T10:00:00.025Z");
        assert!(format_time(u64::MAX).ends_with("s after 1970"));
    }
}

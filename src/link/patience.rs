//! How long a handshake may take.

use std::time::Duration;

/// Round trips that a handshake takes at most: one, a packet that is lost twice, which is sent again
/// after three and after six more (RFC 9002 section 6.2.1: a round trip, and four times its variation,
/// which is taken for half of it at first), and two for jitter of a round trip each way.
const ROUND_TRIPS: u32 = 12;

/// Longer ones count as this: a stranger that delays its answers holds a place no longer.
const LONGEST: Duration = Duration::from_secs(4);

/// On a path that nobody has measured so many times as long: 10 s at the default of 5 s, for 3 s of
/// round trip and as much jitter each way.
const UNKNOWN: u32 = 2;

/// How long a handshake is waited for, if `usual` (`limits.handshake_timeout`) will do on a short
/// path. `rtt` is the path's round trip, if it is known.
pub fn patience(usual: Duration, rtt: Option<Duration>) -> Duration {
    match rtt {
        Some(rtt) => usual.max(rtt.min(LONGEST) * ROUND_TRIPS),
        None => usual * UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_waited_for_and_a_known_short_one_no_longer_than_ever() {
        let s = Duration::from_secs;
        assert_eq!(patience(s(5), Some(Duration::from_millis(20))), s(5));
        assert_eq!(patience(s(5), Some(s(1))), s(12));
        assert_eq!(patience(s(5), Some(s(3))), s(36));
        assert_eq!(patience(s(5), Some(s(60))), s(48));
        assert_eq!(patience(s(5), None), s(10));
    }
}

//! How long a session waits before it doubts its path, and before it leaves it.
//!
//! The times follow `connections.heartbeat`, as those of links do: whoever asks for a heartbeat of
//! half the length wants to wait half as long. Two things bound that.
//!
//! - Below, nothing is waited for more briefly than a healthy path may take, so the times have
//!   floors.
//! - Above the default heartbeat they stay as they are. A long heartbeat saves packets on a quiet
//!   link; doubt reads the session's own packets, costs nothing while they are answered, and two
//!   copies for a round trip if it was wrong.

use std::time::Duration;

/// At this heartbeat, the default, each time has the value that is given first to [`share`].
const REFERENCE: Duration = Duration::from_millis(100);

/// What an answer may take besides round trips: the delay of an acknowledgement, 25 ms
/// (`max_ack_delay`, RFC 9000 section 18.2; sessions ask for less, which the other end may not have
/// heard of yet), and the lateness of two busy agents.
const LEAST_SLACK: Duration = Duration::from_millis(40);

/// More probes than ten a second of each busy session would cost more than they tell.
const LEAST_BUSY: Duration = Duration::from_millis(100);

/// Three full-size probes at least are sent in it early enough to be answered, ten on a short path, as
/// one or two may be lost by chance.
const LEAST_VERDICT: Duration = Duration::from_millis(300);

/// Advertised round trips count from here on. Links know theirs as powers of √2, and young ones as too
/// long by the delay of an acknowledgement; and a shorter path answers twice before any verdict.
const LONG: Duration = Duration::from_millis(200);

/// The times of one agent's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// A path that was heard this recently is not doubted for want of the next answer, whenever the
    /// packets that wait for it left.
    pub(crate) quiet: Duration,
    /// A packet's answer that takes longer than this, on a short path, is missed. With `quiet` it
    /// stays below the 1.5 heartbeats of a suspect link, so that a fault beyond the first link is
    /// bridged as fast; a short heartbeat's floor aside.
    pub(crate) answer: Duration,
    /// The same for a probe's answer: as long as a silent link is trusted.
    pub(crate) probe_answer: Duration,
    /// Both on long paths: two round trips and this.
    pub(crate) slack: Duration,
    /// Time between two probes of the active path while packets come and go.
    pub(crate) busy: Duration,
    /// How long a path stays unanswered while its backup answers before it counts as failed: three
    /// `busy` intervals (decision 0012).
    pub(crate) verdict: Duration,
}

impl Timing {
    /// The times for agents whose links beat that often.
    pub(crate) fn new(heartbeat: Duration) -> Self {
        let share = |reference, least| share(heartbeat, reference, least);
        Self {
            quiet: share(30, Duration::ZERO),
            answer: share(70, LEAST_SLACK),
            probe_answer: share(150, LEAST_SLACK),
            slack: share(50, LEAST_SLACK),
            busy: share(200, LEAST_BUSY),
            verdict: share(600, LEAST_VERDICT),
        }
    }

    /// How long a packet's answer is waited for on a path of that round trip.
    pub(crate) fn packet_wait(&self, rtt: Duration) -> Duration {
        self.answer.max(rtt * 2 + self.slack)
    }

    /// How long a probe's answer is waited for on a path of that round trip.
    pub(crate) fn probe_wait(&self, rtt: Duration) -> Duration {
        self.probe_answer.max(rtt * 2 + self.slack)
    }
}

/// What a path's round trip may be: `measured` by the session, perhaps on another path, but no less
/// than `advertised` by the links if that is long.
pub(crate) fn round_trip(measured: Duration, advertised: Duration) -> Duration {
    match advertised >= LONG {
        true => measured.max(advertised),
        false => measured,
    }
}

/// `reference` milliseconds in proportion to the heartbeat, between `least` and themselves.
fn share(heartbeat: Duration, reference: u64, least: Duration) -> Duration {
    let reference = Duration::from_millis(reference);
    let scaled = reference.mul_f64(heartbeat.as_secs_f64() / REFERENCE.as_secs_f64());
    scaled.clamp(least, reference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Connections;

    const MS: Duration = Duration::from_millis(1);
    const SHORT: Duration = Duration::from_millis(1);

    /// Silence until a path of that round trip is doubted, all packets sent at once.
    fn silence(heartbeat: Duration, rtt: Duration) -> Duration {
        let timing = Timing::new(heartbeat);
        timing.quiet + timing.packet_wait(rtt)
    }

    #[test]
    fn the_default_heartbeat_is_the_reference() {
        assert_eq!(Connections::default().heartbeat, REFERENCE);
        let wanted = Timing {
            quiet: 30 * MS,
            answer: 70 * MS,
            probe_answer: 150 * MS,
            slack: 50 * MS,
            busy: 200 * MS,
            verdict: 600 * MS,
        };
        assert_eq!(Timing::new(REFERENCE), wanted);
    }

    #[test]
    fn a_path_is_no_shorter_than_its_links_say_if_they_are_long() {
        for (measured, advertised, wanted) in
            [(10, 199, 10), (10, 600, 600), (900, 600, 900), (40, 0, 40)]
        {
            assert_eq!(round_trip(measured * MS, advertised * MS), wanted * MS);
        }
    }

    #[test]
    fn half_the_heartbeat_waits_about_half_as_long() {
        assert_eq!(silence(100 * MS, SHORT), 100 * MS);
        assert_eq!(silence(50 * MS, SHORT), 57 * MS);
        let timing = Timing::new(50 * MS);
        assert_eq!(timing.probe_wait(SHORT), 75 * MS);
        assert_eq!((timing.busy, timing.verdict), (100 * MS, 300 * MS));
    }

    #[test]
    fn no_heartbeat_is_too_short_for_a_delayed_acknowledgement() {
        for heartbeat in [1, 10, 20, 35, 50, 99] {
            for rtt in [Duration::ZERO, SHORT, 40 * MS, 300 * MS] {
                let timing = Timing::new(heartbeat * MS);
                // 15 ms are left for agents that are late.
                assert!(timing.packet_wait(rtt) >= rtt + 25 * MS + 15 * MS);
                assert!(timing.probe_wait(rtt) >= rtt + 15 * MS);
                assert!(timing.verdict >= 3 * timing.busy);
            }
        }
    }

    #[test]
    fn a_long_heartbeat_makes_no_session_slower() {
        for heartbeat in [101, 1_000, 10_000] {
            assert_eq!(Timing::new(heartbeat * MS), Timing::new(REFERENCE));
        }
    }
}

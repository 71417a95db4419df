//! The controller's phases, and what each of them has of the path.

use std::time::Duration;

/// Packets at least. BBRMinPipeCwnd is 4; with so few a session that sends little was silent for 0.7 s
/// after its path had been ten times as long for a second (virtual time).
pub(super) const LEAST_PACKETS: u64 = 8;

/// The rate doubles with every round (BBRStartupCwndGain).
pub(super) const STARTUP_GAIN: f64 = 2.0;

/// Growth of the rate within a round below which the path may be full, and how many such rounds
/// make it so (draft-ietf-ccwg-bbr section 5.3.1.2).
pub(super) const STARTUP_GROWTH: f64 = 1.25;
pub(super) const STARTUP_ROUNDS: u32 = 3;

/// Below the product, so that a queue of our own goes (BBRDrainPacingGain is 0.5 and 0.9 in turn).
pub(super) const DRAIN_GAIN: f64 = 0.9;

/// For a round trip that has not been seen for 10 s: BBRProbeRTTCwndGain. Sessions of one bottleneck
/// do it at the same time, because they all see the short round trip of the last one.
pub(super) const STALE_GAIN: f64 = 0.5;

/// Rounds after which a queue that is still there is not ours.
pub(super) const DRAIN_ROUNDS: u32 = 4;

/// A little more than the product: the least round trip is rarer than a longer one.
pub(super) const CRUISE_GAIN: f64 = 1.1;

/// Rounds between two probes: BBR of 2016 had 6, and with so many two sessions come to equal shares
/// within seconds.
pub(super) const CRUISE_ROUNDS: u32 = 6;

/// Rounds between two probes at most, after ones that lost much: a policer takes what is above its
/// rate, and each probe costs that.
pub(super) const CRUISE_ROUNDS_MOST: u32 = 48;

/// Cruising time at least: on short paths rounds pass faster than machines settle.
pub(super) const CRUISE_LEAST: Duration = Duration::from_millis(50);

/// What a probe tries (BBR: a pacing gain of 1.25). Higher, because only the window carries it.
pub(super) const PROBE_GAIN: f64 = 1.35;

/// Rounds of a probe: one to send it, one to see what came of it.
pub(super) const PROBE_ROUNDS: u32 = 2;

/// Growth of the rate in a round of probing after which another one is added.
pub(super) const PROBE_GROWTH: f64 = 1.1;

/// Part of what was in flight at a loss that is sent afterwards (BBRHeadroom).
pub(super) const HEADROOM: f64 = 0.85;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The window doubles with every round.
    Startup,
    /// A queue of our own goes.
    Drain,
    /// The path is full and its queue short.
    Cruise,
    /// More is tried.
    Probe,
}

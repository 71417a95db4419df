//! What is believed of a path: its rate, its round trip without queues, and how its
//! acknowledgements bunch (draft-ietf-ccwg-bbr sections 4.5 and 5.5.9).

use std::time::{Duration, Instant};

use super::rate::Sample;

/// How long the least round trip is believed without being seen again: MinRTTFilterLen of
/// draft-ietf-ccwg-bbr section 2.10.
const BELIEVED: Duration = Duration::from_secs(10);

/// A round trip so close to the least one confirms it: with jitter the very least hardly ever comes
/// twice.
const CONFIRMS: f64 = 1.0 / 16.0;

/// Rounds in which the largest bunch of acknowledgements counts (ExtraAckedFilterLen).
const BUNCHES: usize = 10;

/// The largest bunch that is provided for on a short path, where a longer silence is a stall. On a
/// longer one it is a round trip: jitter bunches as much, and without room for that a window for the
/// least round trip starves a path whose usual one is twice as long.
const LONGEST_BUNCH: Duration = Duration::from_millis(100);

/// Time that packets spend in the machines at the ends, which no quiet path shows: timers of a
/// millisecond, the acknowledgement delay (1 ms), other work of one thread.
const HOSTS: Duration = Duration::from_millis(2);

/// Packets in flight beyond the product of rate and round trip, so that a window that is small in
/// packets is not empty while an acknowledgement travels.
const SPARE_PACKETS: f64 = 3.0;

/// The model of one path.
#[derive(Clone, Debug)]
pub(super) struct PathModel {
    /// Bytes per second: most in the last whole cycle of probing, and in the one under way.
    rates: [f64; 2],
    /// Most in the last two rounds.
    recent: [f64; 2],
    min_rtt: Option<Duration>,
    /// When the least round trip was last seen.
    confirmed: Instant,
    /// The least round trip of each of the last two rounds.
    round_rtt: [Option<Duration>; 2],
    /// Samples of packets sent before are of another path.
    since: Instant,
    bunches: Bunches,
}

#[derive(Clone, Debug)]
struct Bunches {
    began: Instant,
    bytes: f64,
    most: [f64; BUNCHES],
}

impl PathModel {
    /// Nothing is known yet of what is sent from now on.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            rates: [0.0; 2],
            recent: [0.0; 2],
            min_rtt: None,
            confirmed: now,
            round_rtt: [None; 2],
            since: now,
            bunches: Bunches {
                began: now,
                bytes: 0.0,
                most: [0.0; BUNCHES],
            },
        }
    }

    /// Takes a sample; `acked` bytes came with it.
    pub(super) fn handle_sample(&mut self, now: Instant, sample: &Sample, acked: u64) {
        if sample.sent < self.since {
            return;
        }
        if sample.round {
            self.recent = [0.0, self.recent[0]];
            self.round_rtt = [None, self.round_rtt[0]];
            self.bunches.most.rotate_right(1);
            self.bunches.most[0] = 0.0;
        }
        self.handle_rtt(now, sample.rtt);
        if let Some(rate) = sample.rate {
            self.recent[0] = self.recent[0].max(rate);
            if !sample.app_limited || rate > self.rate() {
                self.rates[1] = self.rates[1].max(rate);
            }
        }
        let rate = self.rate();
        self.bunches.handle_acked(now, acked as f64, rate);
    }

    fn handle_rtt(&mut self, now: Instant, rtt: Duration) {
        self.round_rtt[0] = Some(self.round_rtt[0].map_or(rtt, |least| least.min(rtt)));
        match self.min_rtt {
            Some(least) if rtt > least => {
                if rtt.as_secs_f64() <= least.as_secs_f64() * (1.0 + CONFIRMS) {
                    self.confirmed = now;
                }
            }
            _ => {
                self.min_rtt = Some(rtt);
                self.confirmed = now;
            }
        }
    }

    /// Bytes per second that the path takes; 0: unknown.
    pub(super) fn rate(&self) -> f64 {
        self.rates[0].max(self.rates[1])
    }

    /// Bytes per second that arrived of late.
    pub(super) fn recent_rate(&self) -> f64 {
        self.recent[0].max(self.recent[1])
    }

    /// The round trip without queues.
    pub(super) fn min_rtt(&self) -> Option<Duration> {
        self.min_rtt
    }

    /// The least round trip of the last two rounds.
    pub(super) fn recent_rtt(&self) -> Option<Duration> {
        self.round_rtt.into_iter().flatten().min()
    }

    /// A cycle of probing is over: what the one before it found is forgotten, unless this one found
    /// nothing because the application sent too little.
    pub(super) fn handle_cycle_end(&mut self) {
        if self.rates[1] > 0.0 {
            self.rates = [self.rates[1], 0.0];
        }
    }

    /// The path takes no more than what arrived of late.
    pub(super) fn believe_recent_rate(&mut self) {
        if self.recent_rate() > 0.0 {
            self.rates = [self.recent_rate(), 0.0];
        }
    }

    /// Whether the least round trip has not been seen for long.
    pub(super) fn is_rtt_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.confirmed) > BELIEVED
    }

    /// Takes the least round trip of late for that of the path.
    pub(super) fn believe_recent_rtt(&mut self, now: Instant) {
        self.min_rtt = self.recent_rtt().or(self.min_rtt);
        self.confirmed = now;
    }

    /// Bytes that fill the path without a queue; 0: unknown.
    pub(super) fn product(&self) -> f64 {
        let rtt = self.min_rtt.unwrap_or_default();
        self.rate() * rtt.as_secs_f64()
    }

    /// Bytes in flight that are nobody's queue: acknowledgements that come in lumps, and the time
    /// that packets spend in the machines at the ends.
    pub(super) fn allowance(&self, packet: u64) -> f64 {
        let rtt = self.min_rtt.unwrap_or_default();
        let longest = self.rate() * LONGEST_BUNCH.max(rtt).as_secs_f64();
        let bunch = self.bunches.most.into_iter().fold(0.0, f64::max);
        bunch.min(longest) + self.rate() * HOSTS.as_secs_f64() + SPARE_PACKETS * packet as f64
    }
}

impl Bunches {
    /// Counts what came beyond what the rate explains.
    fn handle_acked(&mut self, now: Instant, acked: f64, rate: f64) {
        let mut expected = rate * now.saturating_duration_since(self.began).as_secs_f64();
        if self.bytes <= expected {
            (self.began, self.bytes, expected) = (now, 0.0, 0.0);
        }
        self.bytes += acked;
        self.most[0] = self.most[0].max(self.bytes - expected);
    }
}

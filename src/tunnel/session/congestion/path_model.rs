//! What is believed of a path: its rate, its round trip without queues, and how its
//! acknowledgements bunch (draft-ietf-ccwg-bbr sections 4.5 and 5.5.9).

use std::time::{Duration, Instant};

use super::rate::Sample;

/// How long the least round trip is believed without being seen again: MinRTTFilterLen of
/// draft-ietf-ccwg-bbr section 2.10.
const BELIEVED: Duration = Duration::from_secs(10);

/// The same while all that are seen are half as long again, although drains came between: the queue that
/// stands is a rival's, and with a window for the path without it a session beside Cubic has a tenth of a
/// line with half a second of queue.
const CONTESTED: Duration = Duration::from_millis(2_500);
const CONTESTED_RTT: f64 = 1.5;

/// Between two looks whether a rival is still there: each gives him some of the line.
const LOOKED: Duration = Duration::from_secs(20);

/// By how much the round trip that is believed is longer at least if it grew for a rival.
const RIVAL: f64 = 1.25;

/// By how much where the queue is deep. Where it holds 40 ms, a sender that follows it leaves Cubic a
/// quarter.
const DEEP: Duration = Duration::from_millis(60);

/// The part of a round trip below which one is another: a rival has gone, or the queue was our own.
pub(super) const GONE: f64 = 0.7;

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

/// Packets in flight beyond the product of rate and round trip: a window counts whole packets. Each is
/// acknowledged within a millisecond, so that none need be there for acknowledgements that are held back
/// (BBR has three, which at 1.6 Mbit/s are 20 ms of queue).
const SPARE_PACKETS: f64 = 1.0;

/// Of the usual bunch (the largest of each round, on the average), what is in flight beyond the product
/// once the path is full. A queue as long as the usual silence keeps a line busy: with this
/// acknowledgements in lumps of half a round trip leave 97 % of it, and a line of 1.6 Mbit/s with 20 ms
/// of jitter has two thirds of the queue that it has with the largest bunch of all.
const CRUISE_BUNCH: f64 = 0.8;

/// What came through on the average is this part of the most that was seen at least: bunches explain no
/// more.
const LEAST_FULL: f64 = 0.85;

/// Part of the least round trip that all are longer than where a queue stands (RFC 9406 section 4.2).
const QUEUED: f64 = 1.0 + 1.0 / 8.0;

/// The model of one path.
#[derive(Clone, Debug)]
pub(super) struct PathModel {
    /// Bytes per second: most in the last whole cycle of probing, and in the one under way.
    rates: [f64; 2],
    /// Most in the last two rounds.
    recent: [f64; 2],
    /// What came through on the average while the path was full.
    full: Option<f64>,
    min_rtt: Option<Duration>,
    /// When the least round trip was last seen.
    confirmed: Instant,
    /// The least round trip of each of the last two rounds.
    round_rtt: [Option<Duration>; 2],
    /// Samples of packets sent before are of another path.
    since: Instant,
    bunches: Bunches,
    /// The round trip beside somebody who fills the queue, while one of that kind is believed, and the one
    /// that was believed before he came.
    rival: Option<Duration>,
    alone: Option<Duration>,
    /// When a drain last went deep for the least round trip.
    looked: Instant,
}

#[derive(Clone, Debug)]
struct Bunches {
    began: Instant,
    bytes: f64,
    most: [f64; BUNCHES],
    /// That `most` is of.
    rounds: u32,
}

impl PathModel {
    /// Nothing is known yet of what is sent from now on.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            rates: [0.0; 2],
            recent: [0.0; 2],
            full: None,
            min_rtt: None,
            confirmed: now,
            round_rtt: [None; 2],
            since: now,
            bunches: Bunches {
                began: now,
                bytes: 0.0,
                most: [0.0; BUNCHES],
                rounds: 1,
            },
            rival: None,
            alone: None,
            looked: now,
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
            self.bunches.rounds += 1;
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
                self.rival = self.rival.filter(|rival| rtt >= rival.mul_f64(GONE));
                self.min_rtt = Some(rtt);
                self.confirmed = now;
            }
        }
    }

    /// Whether anything came back yet.
    pub(super) fn is_known(&self) -> bool {
        self.min_rtt.is_some()
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

    /// Whether the least round trip has not been seen for long. One beside a rival is seen for as long as
    /// our own queue stands where his stood.
    pub(super) fn is_rtt_stale(&self, now: Instant) -> bool {
        let since = |at: Instant| now.saturating_duration_since(at);
        let age = since(self.confirmed);
        age > BELIEVED
            || (age > CONTESTED && self.is_longer_by(CONTESTED_RTT))
            || (self.rival.is_some() && since(self.looked) > LOOKED)
    }

    /// Takes the least round trip of late, after a deep drain, for that of the path.
    pub(super) fn believe_recent_rtt(&mut self, now: Instant) {
        let rival = self.rival.is_some() || self.is_longer_by(RIVAL);
        if self.rival.is_none() {
            self.alone = self.min_rtt;
        }
        self.min_rtt = self.recent_rtt().or(self.min_rtt);
        self.rival = self.min_rtt.filter(|_| rival);
        (self.confirmed, self.looked) = (now, now);
    }

    /// A drain is over that was no deep one. Beside a rival whose queue grows the round trip that is
    /// believed grows with it: with a window for less, half of what we had would be his each time.
    pub(super) fn follow_rival(&mut self) {
        if self.is_outweighed() && self.is_longer_by(RIVAL) {
            self.min_rtt = self.recent_rtt();
            self.rival = self.min_rtt;
        }
    }

    /// A rival fills so much of a deep queue that what we send besides is little: a round is long, and a
    /// window that is too small for it stays so for long.
    pub(super) fn is_outweighed(&self) -> bool {
        let rival = self.rival.and(self.recent_rtt()).zip(self.alone);
        rival.is_some_and(|(rival, alone)| rival > alone + DEEP)
    }

    /// Whether all round trips of the last two rounds were so many times as long as the least.
    fn is_longer_by(&self, times: f64) -> bool {
        let seen = self.recent_rtt().unwrap_or_default();
        self.min_rtt
            .is_some_and(|least| seen > least.mul_f64(times) + 2 * HOSTS)
    }

    /// Bytes that fill the path without a queue; 0: unknown.
    pub(super) fn product(&self) -> f64 {
        let rtt = self.min_rtt.unwrap_or_default();
        self.rate() * rtt.as_secs_f64()
    }

    /// Bytes in flight where the path is full and its queue short: `gain` times what came through while
    /// it was full, or room for bunches if that is more.
    pub(super) fn cruise(&self, packet: u64, gain: f64) -> f64 {
        let rtt = self.min_rtt.unwrap_or_default();
        let rate = self.rate();
        let rate = self
            .full
            .map_or(rate, |full| full.clamp(LEAST_FULL * rate, rate));
        let product = rate * rtt.as_secs_f64();
        let bunch = CRUISE_BUNCH * self.bunches.usual().min(self.longest_bunch());
        product + bunch.max((gain - 1.0) * product) + self.ends(packet)
    }

    /// Bytes in flight that let a queue of our own go: room for the usual bunch only, because the largest
    /// of all is as much as the queue on a narrow line. Beside a rival there is room for that, too: who
    /// drains more than others gives them the line.
    pub(super) fn drain(&self, packet: u64, gain: f64) -> f64 {
        let bunch = match self.rival {
            Some(_) => self.bunches.largest(),
            None => self.bunches.usual(),
        };
        gain * self.product() + bunch.min(self.longest_bunch()) + self.ends(packet)
    }

    /// A probe is over that found no more. `average` came through meanwhile: what the path takes, if a
    /// queue stood in it. The most that was seen is higher by as much as acknowledgements bunch.
    pub(super) fn handle_probed(&mut self, average: Option<f64>) {
        self.full = average.filter(|_| self.is_longer_by(QUEUED));
    }

    /// Bytes in flight that are nobody's queue: acknowledgements that come in lumps, and the time
    /// that packets spend in the machines at the ends.
    pub(super) fn allowance(&self, packet: u64) -> f64 {
        self.bunches.largest().min(self.longest_bunch()) + self.ends(packet)
    }

    fn longest_bunch(&self) -> f64 {
        let rtt = self.min_rtt.unwrap_or_default();
        self.rate() * LONGEST_BUNCH.max(rtt).as_secs_f64()
    }

    /// Of those, the ones at both ends.
    fn ends(&self, packet: u64) -> f64 {
        self.rate() * HOSTS.as_secs_f64() + SPARE_PACKETS * packet as f64
    }
}

impl Bunches {
    fn largest(&self) -> f64 {
        self.most.into_iter().fold(0.0, f64::max)
    }

    /// The largest of a round, on the average.
    fn usual(&self) -> f64 {
        self.most.into_iter().sum::<f64>() / f64::from(self.rounds.clamp(1, BUNCHES as u32))
    }

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

//! Delivery rate: what the other end got per second, measured from acknowledgements
//! (draft-ietf-ccwg-bbr section 4.1.2, draft-cheng-iccrg-delivery-rate-estimation).
//!
//! quinn tells when an acknowledged packet was sent, but not its number: packets that left in one
//! go share a time, and are one record here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Records kept for packets that are overtaken: what is acknowledged later gives no sample.
const OVERTAKEN: usize = 32;

/// Records at most: a second of sending at 4 Gbit/s in runs of 10 packets has 30,000.
const MOST: usize = 65_536;

/// What left at one moment, and how the connection stood then.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
    app_limited: bool,
}

/// What one acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Bytes per second; `None`: the time is too short to tell.
    pub(super) rate: Option<f64>,
    pub(super) rtt: Duration,
    /// The application had less to send than the path could take: the rate is a lower bound.
    pub(super) app_limited: bool,
    /// A round trip has passed since the last round began.
    pub(super) round: bool,
    /// When the newest acknowledged packet was sent.
    pub(super) sent: Instant,
}

/// Turns sent and acknowledged packets into samples.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    sent: VecDeque<Sent>,
    delivered: u64,
    delivered_at: Instant,
    first_sent: Instant,
    /// Samples of what is sent until so much is delivered are limited by the application; 0: none.
    app_limited_until: u64,
    round_ends: u64,
    /// Of the acknowledgement that is being read: the newest packet's record.
    newest: Option<Sent>,
}

impl Sampler {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sent: VecDeque::new(),
            delivered: 0,
            delivered_at: now,
            first_sent: now,
            app_limited_until: 0,
            round_ends: 0,
            newest: None,
        }
    }

    /// Packets leave; `idle`: nothing is under way.
    pub(super) fn handle_sent(&mut self, now: Instant, idle: bool) {
        if idle {
            (self.first_sent, self.delivered_at) = (now, now);
        }
        if self.sent.back().is_some_and(|last| last.at == now) {
            return;
        }
        if self.sent.len() == MOST {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent {
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            app_limited: self.app_limited_until > 0,
        });
    }

    /// A packet that was sent then is acknowledged.
    pub(super) fn handle_acked(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.delivered += bytes;
        self.delivered_at = now;
        if self.newest.is_some_and(|newest| newest.at >= sent) {
            return;
        }
        if let Ok(index) = self.sent.binary_search_by_key(&sent, |sent| sent.at) {
            self.newest = Some(self.sent[index]);
        }
    }

    /// The acknowledgement has been read. `least`: the shortest time that tells a rate, the least
    /// round trip known (draft-ietf-ccwg-bbr section 4.1.2.4).
    pub(super) fn handle_acks_end(&mut self, now: Instant, least: Duration) -> Option<Sample> {
        if self.delivered > self.app_limited_until {
            self.app_limited_until = 0;
        }
        let newest = self.newest.take()?;
        let past = self.sent.partition_point(|sent| sent.at < newest.at);
        self.sent.drain(..past.saturating_sub(OVERTAKEN));
        self.first_sent = newest.at;
        let took = (newest.at.saturating_duration_since(newest.first_sent))
            .max(now.saturating_duration_since(newest.delivered_at));
        let rate = (self.delivered - newest.delivered) as f64 / took.as_secs_f64();
        let round = newest.delivered >= self.round_ends;
        if round {
            self.round_ends = self.delivered;
        }
        Some(Sample {
            rate: (took >= least && !took.is_zero()).then_some(rate),
            rtt: now.saturating_duration_since(newest.at),
            app_limited: newest.app_limited,
            round,
            sent: newest.at,
        })
    }

    /// The application has nothing to send while so much is in flight: what is sent before that is
    /// delivered says little of the path.
    pub(super) fn handle_app_limited(&mut self, in_flight: u64) {
        self.app_limited_until = self.delivered + in_flight.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_steady_stream_shows_its_rate_and_its_round_trip() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        let mut rounds = 0;
        for ms in 0..200_u32 {
            let now = start + ms * MS;
            if ms >= 40 {
                sampler.handle_acked(now, start + (ms - 40) * MS, 1_000);
                let sample = sampler.handle_acks_end(now, 40 * MS).unwrap();
                assert_eq!(sample.rtt, 40 * MS);
                rounds += u32::from(sample.round);
                if ms > 80 {
                    assert!((sample.rate.unwrap() - 1e6).abs() < 1e-3);
                }
            }
            sampler.handle_sent(now, ms == 0);
        }
        assert_eq!(rounds, 4);
    }

    #[test]
    fn acknowledgements_in_a_lump_do_not_look_faster_than_what_was_sent() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        for ms in 0..40 {
            sampler.handle_sent(start + ms * MS, ms == 0);
        }
        let now = start + 80 * MS;
        for ms in 0..40 {
            sampler.handle_acked(now, start + ms * MS, 1_000);
        }
        let sample = sampler.handle_acks_end(now, MS).unwrap();
        assert!(sample.rate.unwrap() <= 1e6, "{sample:?}");
    }

    #[test]
    fn what_the_application_held_back_is_told() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        sampler.handle_app_limited(0);
        sampler.handle_sent(start, true);
        sampler.handle_acked(start + MS, start, 1_000);
        assert!(sampler.handle_acks_end(start + MS, MS).unwrap().app_limited);
        sampler.handle_sent(start + MS, true);
        sampler.handle_acked(start + 2 * MS, start + MS, 1_000);
        let sample = sampler.handle_acks_end(start + 2 * MS, MS).unwrap();
        assert!(!sample.app_limited);
    }

    #[test]
    fn a_packet_that_nobody_remembers_gives_no_sample() {
        let start = Instant::now();
        let mut sampler = Sampler::new(start);
        sampler.handle_acked(start + MS, start, 1_000);
        assert_eq!(sampler.handle_acks_end(start + MS, MS), None);
        assert_eq!(sampler.delivered, 1_000);
    }
}

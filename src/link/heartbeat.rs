//! Heartbeats: how many and how long, and those that ask for one.

use std::time::{Duration, Instant};

use crate::routing::{LinkState, Liveness};

/// Datagrams sent in each heartbeat's time, so that one that is lost raises no suspicion. A socket
/// that a download keeps full loses single packets of quiet neighbours: with one datagram a
/// heartbeat an exit under full load suspected an idle transit ten times a minute.
const BEATS: u32 = 2;

/// One beat in so many is as long as the path is said to carry, twice a second at the default
/// heartbeat: QUIC takes a path for narrower when three of them are lost and shorter ones are not.
const FULL_BEAT: u32 = 10;

/// A suspect neighbour is asked so often in an interval, 15 times between suspicion and death. Radio
/// loses packets together: at a loss of one half six beats in a row are lost every minute, these
/// hardly ever.
const ASKS: u32 = 10;

/// A heartbeat that asks for one. Others are empty, or all zeros.
const ASK: [u8; 1] = [1];

/// Datagrams taken between two of our own. An honest neighbour sends at most 500, at the shortest
/// heartbeat beside our longest; those that are not taken are missed by nobody. A packet can hold
/// 700 empty ones, so that a flood is cheap to send.
const DATAGRAMS: u32 = 64;

/// The heartbeats of one link.
pub(super) struct Heartbeats {
    /// Datagrams that will be taken until our next heartbeat.
    left: u32,
    /// Sent so far.
    sent: u32,
    /// When one was last asked for.
    asked: Instant,
}

impl Heartbeats {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: DATAGRAMS,
            sent: 0,
            asked: now,
        }
    }

    /// The time between two.
    pub(super) fn pace(heartbeat: Duration) -> Duration {
        heartbeat / BEATS
    }

    /// The payload of the next one, on a path that carries `room` bytes of it.
    pub(super) fn next(&mut self, room: usize) -> Vec<u8> {
        self.left = DATAGRAMS;
        self.sent = self.sent.wrapping_add(1);
        match self.sent.is_multiple_of(FULL_BEAT) {
            true => vec![0; room],
            false => Vec::new(),
        }
    }

    /// Whether another one of the neighbour's is taken.
    pub(super) fn takes(&self) -> bool {
        self.left > 0
    }

    /// One of the neighbour's came; whether it asks for one.
    pub(super) fn handle(&mut self, payload: &[u8]) -> bool {
        self.left = self.left.saturating_sub(1);
        payload == ASK
    }

    /// When to ask the neighbour for one, if it is suspect and its answer comes before the verdict.
    pub(super) fn ask_at(&self, liveness: &Liveness, rtt: Duration) -> Option<Instant> {
        let left = liveness.deadline().saturating_sub(liveness.suspect_after());
        let asks = liveness.state() == LinkState::Suspect && rtt < left;
        asks.then(|| self.asked + liveness.interval() / ASKS)
    }

    /// The payload of one that asks.
    pub(super) fn ask(&mut self, now: Instant) -> Vec<u8> {
        self.asked = now;
        ASK.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn one_in_ten_is_as_long_as_the_path_carries() {
        let mut beats = Heartbeats::new(Instant::now());
        let lengths: Vec<usize> = (0..20).map(|_| beats.next(1_400).len()).collect();
        assert_eq!(lengths.iter().sum::<usize>(), 2 * 1_400);
        assert_eq!((lengths[9], lengths[19]), (1_400, 1_400));
        assert_eq!(Heartbeats::pace(100 * MS), 50 * MS);
    }

    #[test]
    fn a_flood_is_taken_until_our_next_one_and_only_one_form_asks() {
        let mut beats = Heartbeats::new(Instant::now());
        for payload in [&[][..], &[0; 1_400], &[0], &[2], &[1, 1]] {
            assert!(!beats.handle(payload));
        }
        assert!(beats.handle(&ASK));
        (6..DATAGRAMS).for_each(|_| assert!(beats.takes() && !beats.handle(&[])));
        assert!(!beats.takes());
        beats.next(0);
        assert!(beats.takes());
    }

    #[test]
    fn a_suspect_is_asked_where_the_answer_comes_in_time() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start, 100 * MS, 100 * MS, 3);
        let mut beats = Heartbeats::new(start);
        liveness.handle_received(start);
        assert_eq!(beats.ask_at(&liveness, 20 * MS), None);
        for tick in 1..=16 {
            liveness.handle_tick(start + tick * 10 * MS);
        }
        let now = start + 160 * MS;
        assert!(beats.ask_at(&liveness, 20 * MS).is_some_and(|at| at <= now));
        assert_eq!(beats.ask(now), ASK);
        assert_eq!(beats.ask_at(&liveness, 20 * MS), Some(now + 10 * MS));
        assert_eq!(beats.ask_at(&liveness, 150 * MS), None);
        liveness.handle_received(now);
        assert_eq!(beats.ask_at(&liveness, 20 * MS), None);
    }
}

//! What was answered to handshakes of late, to be said again along a way that is heard of later.
//!
//! An ingress sends its handshake along two paths, and the copies arrive one after the other. The
//! exit answers the first at once; if the way back of that one is dead, QUIC would repeat the answer
//! only after a second, and again along a way that may be dead.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::provisional::Handshake;

/// Handshakes whose answers are kept: as many as may shake hands at once (the default of
/// `limits.pending_handshakes`).
const SOURCES: usize = 64;

/// Bytes kept for one of them: three times QUIC's smallest Initial packet, as much as may be sent for
/// one packet of an address that has proved nothing (RFC 9000 section 8.1).
const BYTES: usize = 3 * 1_200;

/// How long: one of two ways may be longer by the longest round trip that sessions are made for, 3 s,
/// and by some of its jitter.
const KEPT: Duration = Duration::from_secs(5);

/// What leaves after this begins a new answer, if both do not fit: QUIC repeats what was not
/// acknowledged after three times its first guess of a round trip, 333 ms (RFC 9002 section 6.2.2), and
/// the sender may shake hands anew.
const ROUND: Duration = Duration::from_secs(1);

/// The latest answers.
#[derive(Default)]
pub(crate) struct Answers {
    /// Oldest first.
    recent: VecDeque<Answer>,
}

struct Answer {
    to: Handshake,
    since: Instant,
    packets: Vec<Box<[u8]>>,
    bytes: usize,
}

impl Answers {
    /// A packet leaves that answers the handshake `to`.
    pub(crate) fn note(&mut self, to: Handshake, packet: &[u8], now: Instant) {
        self.forget(now);
        let known = self.recent.iter().position(|answer| answer.to == to);
        let at = known.unwrap_or_else(|| {
            if self.recent.len() == SOURCES {
                self.recent.pop_front();
            }
            self.recent.push_back(Answer {
                to,
                since: now,
                packets: Vec::new(),
                bytes: 0,
            });
            self.recent.len() - 1
        });
        let answer = &mut self.recent[at];
        let is_over = now.saturating_duration_since(answer.since) >= ROUND;
        if is_over && answer.bytes + packet.len() > BYTES {
            answer.packets.clear();
            (answer.since, answer.bytes) = (now, 0);
        }
        if answer.bytes + packet.len() <= BYTES {
            answer.bytes += packet.len();
            answer.packets.push(packet.into());
        }
    }

    /// What was answered to `to`, packet by packet.
    pub(crate) fn to(&mut self, to: Handshake, now: Instant) -> &[Box<[u8]>] {
        self.forget(now);
        let answer = self.recent.iter().find(|answer| answer.to == to);
        answer.map_or(&[], |answer| &answer.packets)
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |answer: &Answer| now.saturating_duration_since(answer.since) >= KEPT;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::identity::ShortId;
    use crate::tunnel::socket::cid::Cid;

    fn of(source: u64) -> Handshake {
        let cid = Cid::of_destination(b"\xe0\0\0\0\x01\x08ingress1").unwrap();
        (ShortId(source), cid)
    }

    #[test]
    fn an_answer_is_kept_for_the_longer_of_two_ways_and_is_no_longer_than_it_may_be() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        for length in [1_200, 1_200, 1_000, 1_200, 100] {
            answers.note(of(9), &vec![0; length], now);
        }
        let lengths: Vec<usize> = answers.to(of(9), now).iter().map(|p| p.len()).collect();
        assert_eq!(lengths, [1_200, 1_200, 1_000, 100]);
        assert!(answers.to(of(1), now).is_empty());
        assert_eq!(
            answers.to(of(9), now + Duration::from_millis(3_500)).len(),
            4
        );
        assert!(answers.to(of(9), now + KEPT).is_empty());
    }

    #[test]
    fn a_new_answer_takes_the_place_of_an_old_one() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        let mut note = |length: usize, at| answers.note(of(9), &vec![0; length], at);
        (0..3).for_each(|_| note(1_200, now));
        note(1_100, now + ROUND);
        note(1_150, now + ROUND);
        let lengths = |answers: &mut Answers, at| {
            let packets = answers.to(of(9), at).iter();
            packets.map(|packet| packet.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&mut answers, now + KEPT), [1_100, 1_150]);
        assert!(lengths(&mut answers, now + ROUND + KEPT).is_empty());
    }

    #[test]
    fn the_oldest_makes_room() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        for source in 0..=SOURCES as u64 {
            answers.note(of(source), b"answer", now);
        }
        assert!(answers.to(of(0), now).is_empty());
        assert!((1..=SOURCES as u64).all(|source| answers.to(of(source), now).len() == 1));
    }
}

//! Packets in two parts: what does not fit a path crosses it in halves.
//!
//! ```text
//! packet header (type 7 or 8) | number u32 | part u8 (0 or 1) | half of the packet
//! ```
//!
//! A session's packets keep their size, and QUIC knows none below 1,200 bytes, while a path with its
//! header may carry less, and less than a moment ago. A packet whose other half is lost is lost.

use std::collections::VecDeque;

use crate::identity::ShortId;

/// Bytes before each half.
const LEN: usize = 5;

/// Bytes of a half, at most: more than a whole packet of the widest link has (1,472). Longer ones are
/// nobody's, but a stranger with a copied token could fill 64 MB with them.
const LONGEST: usize = 1_500;

/// Halves that wait for the other one: those of a burst that a second path brings out of order. At
/// most 1.5 MB; the oldest goes first.
const WAITING: usize = 1_024;

/// `packet` in halves, each behind its number.
pub(crate) fn split(number: u32, packet: &[u8]) -> [Vec<u8>; 2] {
    let (first, second) = packet.split_at(packet.len().div_ceil(2));
    [(0, first), (1, second)].map(|(part, half)| {
        let mut bytes = Vec::with_capacity(LEN + half.len());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.push(part);
        bytes.extend_from_slice(half);
        bytes
    })
}

/// Puts halves together.
#[derive(Debug, Default)]
pub struct Joiner {
    waiting: VecDeque<Half>,
}

#[derive(Debug)]
struct Half {
    source: ShortId,
    number: u32,
    part: u8,
    bytes: Box<[u8]>,
}

impl Joiner {
    /// The whole packet, if this is its second half to come.
    pub fn take(&mut self, source: ShortId, payload: &[u8]) -> Option<Vec<u8>> {
        let (number, rest) = payload.split_first_chunk::<4>()?;
        let (&part, half) = rest.split_first()?;
        let number = u32::from_be_bytes(*number);
        if part > 1 || half.len() > LONGEST {
            return None;
        }
        let fits = |other: &Half| (other.source, other.number) == (source, number);
        let Some(at) = self.waiting.iter().rposition(fits) else {
            if self.waiting.len() >= WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(Half {
                source,
                number,
                part,
                bytes: half.into(),
            });
            return None;
        };
        // A copy that came along another path.
        if self.waiting[at].part == part {
            return None;
        }
        let other = self.waiting.remove(at)?.bytes;
        Some(match part {
            0 => [half, &other].concat(),
            _ => [&other, half].concat(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: ShortId = ShortId(3);

    #[test]
    fn halves_make_the_packet_in_either_order() {
        for length in [1_usize, 2, 1_199, 1_400] {
            let packet: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let [first, second] = split(7, &packet);
            assert!(first.len().max(second.len()) <= length.div_ceil(2) + LEN);
            let mut joiner = Joiner::default();
            assert_eq!(joiner.take(PEER, &first), None);
            assert_eq!(joiner.take(PEER, &first), None, "a copy is no other half");
            assert_eq!(joiner.take(ShortId(4), &second), None, "another's");
            assert_eq!(joiner.take(PEER, &second), Some(packet.clone()));
            assert_eq!(joiner.take(PEER, &second), None);
            assert_eq!(joiner.take(PEER, &first), Some(packet));
        }
    }

    #[test]
    fn nonsense_is_dropped_and_lonely_halves_are_bounded() {
        let mut joiner = Joiner::default();
        let long = [&[0, 0, 0, 1, 0][..], &[0; LONGEST + 1]].concat();
        for bytes in [&[][..], &[0, 0, 0, 1], &[0, 0, 0, 1, 2, 9], &long] {
            assert_eq!(joiner.take(PEER, bytes), None);
            assert!(joiner.waiting.is_empty());
        }
        for number in 0..5_000 {
            joiner.take(PEER, &split(number, b"ab")[0]);
        }
        assert_eq!(joiner.waiting.len(), WAITING);
        let newest = split(4_999, b"ab");
        assert_eq!(joiner.take(PEER, &newest[1]), Some(b"ab".to_vec()));
    }
}

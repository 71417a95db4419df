//! The byte pattern of bulk transfers, and the checker that proves a transfer exact.
//!
//! On the wire a transfer is segments: a length (u64, big endian), then that many bytes of the
//! pattern; a length of 0 ends it. So a transfer may stop at any moment and a truncated one is
//! still told from a complete one. Byte `n` of a transfer is byte `(seed + n) mod PERIOD` of a
//! fixed random table: sending and checking cost a copy and a compare, nothing more. Loss,
//! duplication and reordering show unless they shift the data by a multiple of the prime
//! [`PERIOD`]; transfers with different seeds cannot be mixed up.

use std::sync::LazyLock;

/// Bytes until the pattern repeats: the largest prime below 2^18, so that no power of two and no
/// packet size divides it, and the table stays inside a second-level cache.
pub const PERIOD: u64 = 262_139;

/// The longest slice handed out at once.
pub const CHUNK: usize = 128 * 1024;

/// Data bytes of a full segment. A sender looks at its deadline once per segment: about 2 ms at
/// 4 Gbit/s.
pub const SEGMENT: u64 = 1024 * 1024;

/// One period, and its beginning again, so that a slice may start anywhere.
static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x0077_6172_7265_6e21_u64;
    let mut table = Vec::with_capacity(PERIOD as usize + CHUNK);
    while table.len() < PERIOD as usize {
        table.extend_from_slice(&splitmix(&mut state).to_le_bytes());
    }
    table.truncate(PERIOD as usize);
    table.extend_from_within(..CHUNK);
    table
});

/// SplitMix64 (Steele, Lea, Flood 2014): good enough to make every window of the table distinct.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The pattern of a transfer with `seed` from byte `offset` on: `most` bytes, or [`CHUNK`] if that
/// is less.
pub fn slice(seed: u64, offset: u64, most: u64) -> &'static [u8] {
    let start = ((seed % PERIOD + offset % PERIOD) % PERIOD) as usize;
    let length = usize::try_from(most).map_or(CHUNK, |most| most.min(CHUNK));
    &TABLE[start..start + length]
}

/// What is wrong with a transfer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("byte {offset} is {actual:#04x}, not {expected:#04x}: data was lost or altered")]
    Mismatch {
        offset: u64,
        expected: u8,
        actual: u8,
    },
    #[error("a segment at byte {offset} claims {length} bytes: data was lost or altered")]
    Segment { offset: u64, length: u64 },
    #[error("data continues after the end, at byte {offset}")]
    Trailing { offset: u64 },
    #[error("the transfer was cut after {offset} bytes")]
    Truncated { offset: u64 },
}

/// Checks a transfer as it arrives, in pieces of any size.
#[derive(Debug)]
pub struct Checker {
    seed: u64,
    checked: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Collecting the next segment's length.
    Length { bytes: [u8; 8], have: usize },
    /// Inside a segment.
    Data { left: u64 },
    /// The closing length has arrived.
    End,
}

impl State {
    const START: Self = Self::Length {
        bytes: [0; 8],
        have: 0,
    };
}

impl Checker {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            checked: 0,
            state: State::START,
        }
    }

    /// Data bytes found exact so far.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// Whether the closing length has arrived.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Takes the next bytes off the wire.
    pub fn feed(&mut self, mut input: &[u8]) -> Result<(), PatternError> {
        while !input.is_empty() {
            let offset = self.checked;
            match &mut self.state {
                State::Length { bytes, have } => {
                    let take = input.len().min(bytes.len() - *have);
                    bytes[*have..*have + take].copy_from_slice(&input[..take]);
                    *have += take;
                    input = &input[take..];
                    if *have == bytes.len() {
                        self.state = match u64::from_be_bytes(*bytes) {
                            0 => State::End,
                            left @ 1..=SEGMENT => State::Data { left },
                            length => return Err(PatternError::Segment { offset, length }),
                        };
                    }
                }
                State::Data { left } => {
                    let expected = slice(self.seed, offset, (*left).min(input.len() as u64));
                    let (actual, rest) = input.split_at(expected.len());
                    if actual != expected {
                        return Err(mismatch(offset, expected, actual));
                    }
                    self.checked += actual.len() as u64;
                    *left -= actual.len() as u64;
                    input = rest;
                    if *left == 0 {
                        self.state = State::START;
                    }
                }
                State::End => return Err(PatternError::Trailing { offset }),
            }
        }
        Ok(())
    }

    /// Judges the end of the stream; returns the number of data bytes.
    pub fn finish(self) -> Result<u64, PatternError> {
        if self.is_complete() {
            Ok(self.checked)
        } else {
            Err(PatternError::Truncated {
                offset: self.checked,
            })
        }
    }
}

fn mismatch(offset: u64, expected: &[u8], actual: &[u8]) -> PatternError {
    let at = expected
        .iter()
        .zip(actual)
        .position(|(expected, actual)| expected != actual)
        .expect("unequal slices of one length differ somewhere");
    PatternError::Mismatch {
        offset: offset + at as u64,
        expected: expected[at],
        actual: actual[at],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A whole transfer of the given segments.
    fn transfer(seed: u64, segments: &[u64]) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut sent = 0;
        for &length in segments {
            wire.extend_from_slice(&length.to_be_bytes());
            let end = sent + length;
            while sent < end {
                let piece = slice(seed, sent, end - sent);
                wire.extend_from_slice(piece);
                sent += piece.len() as u64;
            }
        }
        wire.extend_from_slice(&0_u64.to_be_bytes());
        wire
    }

    fn check(seed: u64, wire: &[u8], piece: usize) -> Result<u64, PatternError> {
        let mut checker = Checker::new(seed);
        for piece in wire.chunks(piece) {
            checker.feed(piece)?;
        }
        checker.finish()
    }

    #[test]
    fn exact_transfers_pass_in_pieces_of_any_size() {
        let wire = transfer(5, &[1, 300_000, SEGMENT, 7]);
        for piece in [1, 3, 8, 1_000, 65_536, wire.len()] {
            assert_eq!(check(5, &wire, piece), Ok(300_008 + SEGMENT), "{piece}");
        }
        assert_eq!(check(5, &transfer(5, &[]), 3), Ok(0));
    }

    #[test]
    fn every_kind_of_damage_is_found() {
        let wire = transfer(5, &[100_000]);
        let mut flipped = wire.clone();
        flipped[8 + 77_777] ^= 1;
        assert!(matches!(
            check(5, &flipped, 4_096),
            Err(PatternError::Mismatch { offset: 77_777, .. })
        ));
        let mut lost = wire.clone();
        lost.drain(20_000..20_000 + 1_400);
        assert!(matches!(
            check(5, &lost, 4_096),
            Err(PatternError::Mismatch { .. })
        ));
        let cut = &wire[..wire.len() - 8];
        assert_eq!(
            check(5, cut, 4_096),
            Err(PatternError::Truncated { offset: 100_000 })
        );
        let mut longer = wire.clone();
        longer.push(0);
        assert_eq!(
            check(5, &longer, 4_096),
            Err(PatternError::Trailing { offset: 100_000 })
        );
        assert!(matches!(
            check(6, &wire, 4_096),
            Err(PatternError::Mismatch { offset: 0, .. })
        ));
        let huge = (SEGMENT + 1).to_be_bytes();
        assert!(matches!(
            check(5, &huge, 4_096),
            Err(PatternError::Segment { offset: 0, .. })
        ));
    }

    #[test]
    fn the_pattern_wraps_without_a_seam() {
        let near_end = slice(0, PERIOD - 2, 4);
        let table = [slice(0, PERIOD - 2, 2), slice(0, 0, 2)].concat();
        assert_eq!(near_end, table);
        assert_eq!(slice(u64::MAX, u64::MAX, u64::MAX).len(), CHUNK);
    }
}

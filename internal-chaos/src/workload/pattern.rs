//! The byte pattern that streams carry (see [`super::checked::chain`]): byte `n` of a stream is byte
//! `(seed + n) mod PERIOD` of a fixed random table, so that sending and checking cost a copy and a
//! compare, nothing more.

use std::sync::LazyLock;

/// Bytes until the pattern repeats: the largest prime below 2^18, so that no power of two and no
/// packet size divides it, and the table stays inside a second-level cache.
pub const PERIOD: u64 = 262_139;

/// The longest slice handed out at once.
pub const CHUNK: usize = 128 * 1024;

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
pub(super) fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The pattern of a stream with `seed` from byte `offset` on: `most` bytes, or [`CHUNK`] if that
/// is less.
pub fn slice(seed: u64, offset: u64, most: u64) -> &'static [u8] {
    let start = ((seed % PERIOD + offset % PERIOD) % PERIOD) as usize;
    let length = usize::try_from(most).map_or(CHUNK, |most| most.min(CHUNK));
    &TABLE[start..start + length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_wraps_without_a_seam() {
        let near_end = slice(0, PERIOD - 2, 4);
        let table = [slice(0, PERIOD - 2, 2), slice(0, 0, 2)].concat();
        assert_eq!(near_end, table);
        assert_eq!(slice(u64::MAX, u64::MAX, u64::MAX).len(), CHUNK);
    }
}

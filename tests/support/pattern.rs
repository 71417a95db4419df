//! Bytes whose every position can be checked: lost, doubled or moved data shows at once.

const WORD: u64 = 8;

/// Fills `buffer` with the bytes that belong at `offset`.
pub(crate) fn fill(buffer: &mut [u8], offset: u64) {
    let mut at = offset;
    let mut rest = buffer;
    while !rest.is_empty() {
        let word = word(at / WORD).to_le_bytes();
        let skip = usize::try_from(at % WORD).expect("below 8");
        let count = rest.len().min(word.len() - skip);
        let (head, tail) = rest.split_at_mut(count);
        head.copy_from_slice(&word[skip..skip + count]);
        at += count as u64;
        rest = tail;
    }
}

/// The first position in `bytes`, which begin at `offset`, that holds a wrong byte.
pub(crate) fn first_wrong(bytes: &[u8], offset: u64) -> Option<u64> {
    let mut expected = vec![0; bytes.len()];
    fill(&mut expected, offset);
    if bytes == expected {
        return None;
    }
    let at = bytes.iter().zip(&expected).position(|(a, b)| a != b);
    at.map(|at| offset + at as u64)
}

/// SplitMix64 of the word's number: no two positions of a test look alike.
fn word(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

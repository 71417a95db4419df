//! Every kind of damage at every kind of place.

use bytes::BufMut;
use proptest::prelude::*;

use super::*;
use crate::workload::pattern::PERIOD;

const SEED: u64 = 5;

/// A whole stream of records of these lengths, and where on the wire each begins.
fn stream(lengths: &[usize]) -> (Vec<u8>, Vec<usize>) {
    let mut chain = Chain::new(SEED);
    let mut wire = Vec::new();
    let mut starts = Vec::new();
    for &length in lengths {
        starts.push(wire.len());
        append(&mut wire, &chain.record(length));
    }
    starts.push(wire.len());
    append(&mut wire, &chain.end());
    starts.push(wire.len());
    (wire, starts)
}

fn append(wire: &mut Vec<u8>, record: &Record) {
    wire.put(record.wire());
}

/// Feeds it in pieces; the exact prefix, and the error or whether it ended cleanly.
fn check(wire: &[u8], piece: usize) -> (u64, Result<bool, ChainError>) {
    let mut checker = Checker::new(SEED);
    for piece in wire.chunks(piece) {
        if let Err(error) = checker.feed(piece) {
            return (checker.exact(), Err(error));
        }
    }
    (checker.exact(), Ok(checker.is_complete()))
}

#[test]
fn exact_streams_pass_in_pieces_of_any_size() {
    let (wire, _) = stream(&[1, LARGEST, 3_000, 1, 65_535]);
    let total = 1 + LARGEST as u64 + 3_000 + 1 + 65_535;
    for piece in [1, 3, 19, 20, 1_000, wire.len()] {
        assert_eq!(check(&wire, piece), (total, Ok(true)), "{piece}");
    }
    let (empty, _) = stream(&[]);
    assert_eq!(check(&empty, 7), (0, Ok(true)));
}

#[test]
fn a_cut_stream_is_a_prefix_and_not_complete() {
    let (wire, starts) = stream(&[100, 200]);
    for cut in 0..wire.len() {
        // Data bytes among those that arrived: behind each record's length, before its tag.
        let first = cut.saturating_sub(4).min(100);
        let second = cut.saturating_sub(starts[1] + 4).min(200);
        assert_eq!(
            check(&wire[..cut], 13),
            ((first + second) as u64, Ok(false)),
            "{cut}"
        );
    }
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let (wire, _) = stream(&[50, 70]);
    for at in 0..wire.len() {
        for bit in 0..8 {
            let mut flipped = wire.clone();
            flipped[at] ^= 1 << bit;
            let (exact, verdict) = check(&flipped, 31);
            // A length that grew may swallow the rest of the stream: then it never completes.
            assert!(verdict != Ok(true), "bit {bit} of byte {at}");
            assert!(exact <= 120);
        }
    }
}

#[test]
fn a_flipped_payload_byte_is_named() {
    let (mut wire, starts) = stream(&[100, 200]);
    wire[starts[1] + 4 + 77] ^= 0x10;
    let (exact, verdict) = check(&wire, 1_000);
    assert_eq!(exact, 177);
    assert!(matches!(verdict, Err(ChainError::Byte { offset: 177, .. })));
}

#[test]
fn lost_repeated_inserted_and_reordered_bytes_are_found_wherever_they_are() {
    let (wire, _) = stream(&[60, 90]);
    let differs = |changed: &[u8], what: &str, at: usize| {
        if changed != wire {
            let (_, verdict) = check(changed, 17);
            assert!(verdict != Ok(true), "{what} at {at}");
        }
    };
    for at in 0..wire.len() {
        let mut lost = wire.clone();
        lost.remove(at);
        differs(&lost, "lost", at);
        let mut repeated = wire.clone();
        repeated.insert(at, wire[at]);
        differs(&repeated, "repeated", at);
        let mut inserted = wire.clone();
        inserted.insert(at, 0xa5);
        differs(&inserted, "inserted", at);
        let mut reordered = wire.clone();
        reordered.swap(at, (at + 1) % wire.len());
        differs(&reordered, "reordered", at);
    }
    let mut longer = wire.clone();
    longer.push(0);
    let trailing = ChainError::Trailing { offset: 150 };
    assert_eq!(check(&longer, 1_000), (150, Err(trailing)));
}

#[test]
fn whole_records_cannot_be_lost_repeated_or_moved() {
    // Equal lengths, one period long together: the pattern alone would not tell them apart.
    let piece = 6_553_usize;
    let count = PERIOD as usize / piece;
    let rest = PERIOD as usize - count * piece;
    let mut lengths = vec![piece; count];
    lengths.push(rest);
    lengths.extend(lengths.clone());
    let (wire, starts) = stream(&lengths);
    let period = &wire[starts[0]..starts[count + 1]];
    let second = &wire[starts[count + 1]..starts[2 * (count + 1)]];
    assert_eq!(period.len(), second.len());
    let end = &wire[starts[2 * (count + 1)]..];

    let lost = [second, end].concat();
    assert_eq!(check(&lost, 65_536).1, Err(ChainError::Tag { offset: 0 }));
    let once = [period, end].concat();
    assert_eq!(
        check(&once, 65_536),
        (PERIOD, Err(ChainError::Tag { offset: PERIOD }))
    );
    let repeated = [period, period, second, end].concat();
    assert_eq!(
        check(&repeated, 65_536),
        (PERIOD, Err(ChainError::Tag { offset: PERIOD }))
    );
    let moved = [second, period, end].concat();
    assert_eq!(check(&moved, 65_536).1, Err(ChainError::Tag { offset: 0 }));
}

#[test]
fn streams_of_other_seeds_are_not_accepted() {
    // The same pattern, by a whole period.
    let mut chain = Chain::new(SEED + PERIOD);
    let mut wire = Vec::new();
    append(&mut wire, &chain.record(100));
    assert_eq!(check(&wire, 50), (0, Err(ChainError::Tag { offset: 0 })));
}

proptest! {
    /// Whatever is done to a stream: it is complete only if it is untouched, and what counts as
    /// exact is a prefix.
    #[test]
    fn only_the_untouched_stream_is_complete(
        lengths in prop::collection::vec(1..400_usize, 0..6),
        from in 0..3_000_usize,
        count in 0..60_usize,
        new in prop::collection::vec(any::<u8>(), 0..60),
        piece in 1..500_usize,
    ) {
        let (wire, _) = stream(&lengths);
        let from = from.min(wire.len());
        let to = (from + count).min(wire.len());
        let mut changed = wire.clone();
        changed.splice(from..to, new);
        let (exact, verdict) = check(&changed, piece);
        prop_assert_eq!(verdict == Ok(true), changed == wire);
        prop_assert!(exact <= lengths.iter().sum::<usize>() as u64 + LARGEST as u64);
    }
}

//! Hashes of the database by bucket, kept up to date with every insertion and removal, so that two
//! neighbours find out what differs by exchanging 256 numbers.

use crate::identity::AgentId;
use crate::wire::ObjectKey;

/// Buckets by the id's first byte: at 10,000 origins a difference costs a summary of 40.
pub(super) const BUCKETS: usize = 256;

/// The exclusive-or of the hashes of a bucket's objects; 0 while it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Buckets(Box<[u64; BUCKETS]>);

impl Default for Buckets {
    fn default() -> Self {
        Self(Box::new([0; BUCKETS]))
    }
}

/// The bucket of everything that `origin` says.
pub(super) fn bucket_of(origin: AgentId) -> usize {
    usize::from(origin.0[0])
}

impl Buckets {
    /// Adds an object that is absent; takes out one that is present.
    pub(super) fn toggle(&mut self, key: &ObjectKey) {
        self.0[bucket_of(key.origin)] ^= hash(key);
    }

    pub(super) fn as_slice(&self) -> &[u64] {
        &self.0[..]
    }

    /// Which buckets differ from `theirs`; `None` if it is not of the right length.
    pub(super) fn differing(&self, theirs: &[u64]) -> Option<Vec<bool>> {
        (theirs.len() == BUCKETS).then(|| {
            let pairs = self.0.iter().zip(theirs);
            pairs.map(|(own, their)| own != their).collect()
        })
    }
}

/// The same on every agent. Not cryptographic: objects are signed, and whoever made two versions of
/// an object collide would only hide its own words.
fn hash(key: &ObjectKey) -> u64 {
    let origin = u128::from_be_bytes(key.origin.0);
    [
        (origin >> 64) as u64,
        origin as u64,
        (key.kind as u64) << 32 | u64::from(key.fragment),
        key.version.epoch,
        key.version.sequence,
        key.version.check,
    ]
    .into_iter()
    .fold(0, |state, word| mix(state ^ word))
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, 2014).
fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ObjectKind, Version};

    fn key(origin: u8, sequence: u64) -> ObjectKey {
        ObjectKey {
            origin: AgentId([origin; 16]),
            kind: ObjectKind::Route,
            fragment: 3,
            version: Version {
                epoch: 1,
                sequence,
                check: 7,
            },
        }
    }

    #[test]
    fn equal_sets_hash_alike_in_any_order() {
        let (mut a, mut b) = (Buckets::default(), Buckets::default());
        for key in [key(1, 1), key(1, 2), key(9, 1)] {
            a.toggle(&key);
        }
        for key in [key(9, 1), key(5, 5), key(1, 2), key(1, 1), key(5, 5)] {
            b.toggle(&key);
        }
        assert_eq!(a, b);
        b.toggle(&key(9, 1));
        let differing = a.differing(b.as_slice()).unwrap();
        assert_eq!(differing.iter().position(|differs| *differs), Some(9));
        assert_eq!(differing.iter().filter(|differs| **differs).count(), 1);
        assert_eq!(a.differing(&[0; 7]), None);
    }
}

//! Places of ids in a sorted list, found by their first bits: building a graph of ten thousand agents
//! looks forty thousand of them up. Ids are hashes, so that few share their first bits; whoever made
//! many that do would only make them as slow as a plain binary search.

use crate::identity::AgentId;

/// Most bits that are looked at.
const MOST_BITS: u32 = 16;

/// Sorted ids without duplicates.
#[derive(Debug)]
pub(super) struct IdIndex {
    ids: Vec<AgentId>,
    /// Ids whose first bits are `n` lie in `starts[n]..starts[n + 1]`.
    starts: Vec<u32>,
    bits: u32,
}

impl IdIndex {
    /// Of `ids`, which are ascending.
    pub(super) fn new(ids: Vec<AgentId>) -> Self {
        // About as many groups as ids.
        let bits = ids.len().next_power_of_two().ilog2().min(MOST_BITS);
        let mut starts = vec![0; (1 << bits) + 1];
        for id in &ids {
            starts[group(*id, bits) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self { ids, starts, bits }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The id at a place.
    pub(super) fn id(&self, place: usize) -> AgentId {
        self.ids[place]
    }

    /// The place of an id.
    pub(super) fn place(&self, id: AgentId) -> Option<usize> {
        let group = group(id, self.bits);
        let (start, end) = (self.starts[group] as usize, self.starts[group + 1] as usize);
        let found = self.ids[start..end].binary_search(&id).ok()?;
        Some(start + found)
    }
}

fn group(id: AgentId, bits: u32) -> usize {
    let first = u16::from_be_bytes([id.0[0], id.0[1]]);
    usize::from(first) >> (MOST_BITS - bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> AgentId {
        AgentId(number.to_be_bytes())
    }

    #[test]
    fn every_id_is_found_at_its_place_and_no_other() {
        let spread = |number: u128| number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        for count in [0, 1, 2, 3, 200, 70_000] {
            let mut ids: Vec<AgentId> = (0..count).map(|number| id(spread(number))).collect();
            ids.sort_unstable();
            let index = IdIndex::new(ids.clone());
            assert_eq!(index.len(), ids.len());
            for (place, id) in ids.iter().enumerate() {
                assert_eq!(index.place(*id), Some(place));
                assert_eq!(index.id(place), *id);
            }
            assert_eq!(index.place(id(spread(count + 1))), None);
        }
    }

    #[test]
    fn ids_with_the_same_beginning_are_told_apart() {
        let index = IdIndex::new((0..1_000).map(id).collect());
        assert_eq!(index.place(id(999)), Some(999));
        assert_eq!(index.place(id(1_000)), None);
        assert_eq!(index.place(AgentId([0xff; 16])), None);
    }
}

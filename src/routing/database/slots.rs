//! A small set of neighbour slots: a bit per live link session, because every origin has one.

/// Slots are low numbers that are used again, so one word does for most agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SlotSet {
    first: u64,
    rest: Vec<u64>,
}

const BITS: usize = 64;

impl SlotSet {
    pub(super) fn insert(&mut self, slot: usize) {
        let (word, bit) = (slot / BITS, 1 << (slot % BITS));
        match word.checked_sub(1) {
            None => self.first |= bit,
            Some(index) => {
                if index >= self.rest.len() {
                    self.rest.resize(index + 1, 0);
                }
                self.rest[index] |= bit;
            }
        }
    }

    pub(super) fn remove(&mut self, slot: usize) {
        let (word, bit) = (slot / BITS, 1 << (slot % BITS));
        match word.checked_sub(1) {
            None => self.first &= !bit,
            Some(index) => {
                if let Some(word) = self.rest.get_mut(index) {
                    *word &= !bit;
                }
            }
        }
    }

    pub(super) fn contains(&self, slot: usize) -> bool {
        let (word, bit) = (slot / BITS, 1 << (slot % BITS));
        let word = match word.checked_sub(1) {
            None => Some(&self.first),
            Some(index) => self.rest.get(index),
        };
        word.is_some_and(|word| word & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_slots_of_any_word() {
        let mut set = SlotSet::default();
        for slot in [0, 63, 64, 200] {
            assert!(!set.contains(slot));
            set.insert(slot);
            assert!(set.contains(slot));
        }
        set.remove(64);
        set.remove(1_000);
        assert!(!set.contains(64) && set.contains(63) && set.contains(200));
    }
}

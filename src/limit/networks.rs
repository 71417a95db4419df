//! A bounded table of networks, or others that are told apart by a key, in which what does not count any more makes room.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::Network;

/// Something about each key, of as many as are remembered at once.
#[derive(Debug)]
pub struct Networks<T, K = Network> {
    entries: HashMap<K, T>,
    most: usize,
    sweep: Duration,
    swept: Option<Instant>,
}

impl<T, K: Eq + Hash> Networks<T, K> {
    /// Remembers `most`. At this bound it is looked every `sweep` for those that do not count any more: it
    /// takes a walk over the whole table.
    pub fn new(most: usize, sweep: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            most,
            sweep,
            swept: None,
        }
    }

    /// What is known of `key`, at first what `new` makes; `None`: it is not known, and there is no room.
    /// `counts` says what must not be forgotten.
    pub fn entry(
        &mut self,
        key: K,
        now: Instant,
        counts: impl Fn(&T) -> bool,
        new: impl FnOnce() -> T,
    ) -> Option<&mut T> {
        if !self.entries.contains_key(&key) && !self.has_room(now, counts) {
            return None;
        }
        Some(self.entries.entry(key).or_insert_with(new))
    }

    /// What is known of `key`.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut T> {
        self.entries.get_mut(key)
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    fn has_room(&mut self, now: Instant, counts: impl Fn(&T) -> bool) -> bool {
        if self.entries.len() < self.most {
            return true;
        }
        let swept = self.swept;
        if swept.is_some_and(|at| now.saturating_duration_since(at) < self.sweep) {
            return false;
        }
        self.swept = Some(now);
        self.entries.retain(|_, entry| counts(entry));
        self.entries.len() < self.most
    }
}

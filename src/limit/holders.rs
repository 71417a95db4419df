//! Places for holders, however much each of them holds.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many holders at most, told apart by a key. Who holds something already may hold more: what it has
/// given up a moment ago takes no place of others, and none of its own.
#[derive(Debug)]
pub struct Holders<K: Copy + Eq + Hash> {
    most: usize,
    /// How much each holds; never 0.
    held: Mutex<HashMap<K, usize>>,
}

/// Something that is held; given up when dropped.
#[derive(Debug)]
pub struct Holding<K: Copy + Eq + Hash> {
    holders: Arc<Holders<K>>,
    holder: K,
}

impl<K: Copy + Eq + Hash> Holders<K> {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            held: Mutex::default(),
        })
    }

    /// `None`: all places are others'.
    pub fn take(self: &Arc<Self>, holder: K) -> Option<Holding<K>> {
        let mut held = self.lock();
        if held.len() >= self.most && !held.contains_key(&holder) {
            return None;
        }
        *held.entry(holder).or_default() += 1;
        drop(held);
        Some(Holding {
            holders: self.clone(),
            holder,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Drop for Holding<K> {
    fn drop(&mut self) {
        let mut held = self.holders.lock();
        match held.get_mut(&self.holder) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_takes_one_place_however_much_it_holds() {
        let holders = Holders::new(2);
        let mut first: Vec<_> = (0..100).map(|_| holders.take(1).unwrap()).collect();
        let second = holders.take(2).unwrap();
        assert!(holders.take(3).is_none());
        first.truncate(1);
        assert!(holders.take(3).is_none(), "it still holds one");
        first.clear();
        assert!(holders.take(3).is_some());
        drop(second);
        assert!(holders.lock().is_empty());
        assert!(Holders::new(0).take(1).is_none());
    }
}

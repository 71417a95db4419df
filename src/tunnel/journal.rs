//! Bounded lists of what happened, for people and tools that ask later.
//!
//! Lists that share their [`Numbers`] merge into one in the order of events. Each is bounded by
//! itself, so that a link that flaps does not push the failovers out that it causes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::clock::unix_ms;

/// Numbers entries from 1, across lists. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Numbers(Arc<AtomicU64>);

/// What happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// Unique among all lists with the same numbers; grows with time.
    pub number: u64,
    /// Milliseconds since the Unix epoch by this host's clock.
    pub at_unix_ms: u64,
    pub what: T,
}

/// A list that forgets its oldest entry at its limit. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Journal<T> {
    limit: usize,
    numbers: Numbers,
    entries: Arc<Mutex<VecDeque<Entry<T>>>>,
}

impl Numbers {
    /// The number drawn last; 0: none yet. Every entry up to it is in the next
    /// [`snapshot`](Journal::snapshot) of its list, because numbers are drawn under the list's
    /// lock: a reader of several lists that leaves out what is above misses nothing in between.
    pub fn last(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn draw(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

impl<T: Clone> Journal<T> {
    /// An empty list of at most `limit` entries.
    pub fn new(limit: usize, numbers: &Numbers) -> Self {
        Self {
            limit,
            numbers: numbers.clone(),
            entries: Arc::default(),
        }
    }

    /// Enters `what` with the time; returns its number.
    pub fn record(&self, what: T) -> u64 {
        let mut entries = self.lock();
        let number = self.numbers.draw();
        if entries.len() >= self.limit {
            entries.pop_front();
        }
        entries.push_back(Entry {
            number,
            at_unix_ms: unix_ms(),
            what,
        });
        number
    }

    /// Changes an entry; `None` if it is not in the list any more.
    pub fn change<R>(&self, number: u64, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut entries = self.lock();
        let at = entries.binary_search_by_key(&number, |entry| entry.number);
        Some(change(&mut entries[at.ok()?].what))
    }

    /// Every entry, the newest last.
    pub fn snapshot(&self) -> Vec<Entry<T>> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry<T>>> {
        self.entries.lock().expect("no panic while locked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_goes_and_numbers_run_across_lists() {
        let numbers = Numbers::default();
        let (links, sessions) = (Journal::new(2, &numbers), Journal::new(2, &numbers));
        assert_eq!(numbers.last(), 0);
        let drawn = [
            links.record("a"),
            sessions.record("s"),
            links.record("b"),
            links.record("c"),
        ];
        assert_eq!(drawn, [1, 2, 3, 4]);
        let left: Vec<_> = links.snapshot().into_iter().map(|e| e.what).collect();
        assert_eq!(left, ["b", "c"]);
        assert_eq!(sessions.snapshot()[0].number, 2);
        assert_eq!(numbers.last(), 4);
    }

    #[test]
    fn only_entries_that_are_left_change() {
        let list = Journal::new(1, &Numbers::default());
        let gone = list.record(1);
        let left = list.record(2);
        assert_eq!(list.change(gone, |what| *what = 10), None);
        assert_eq!(
            list.change(left, |what| std::mem::replace(what, 20)),
            Some(2)
        );
        assert_eq!(list.snapshot()[0].what, 20);
    }
}

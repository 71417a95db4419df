//! Places that many share, of which no one can take all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Among strangers, any of whom may mean harm.
pub const STRANGERS: Rule = Rule::Weight(1);

/// Among those one of whom may be the only user: of an exit, or of a port behind a balancer.
pub const MEMBERS: Rule = Rule::Weight(8);

/// Among clients, one of whom may be the application that the ingress is there for: alone it gets 99 of
/// 100.
pub const CLIENTS: Rule = Rule::Weight(64);

/// Who is given one more place.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Who holds fewer than so many times what is free (the dynamic threshold of Choudhury and Hahne,
    /// 1998). With a weight of 1 somebody alone gets half of the places and two get a third each; with 8
    /// somebody alone gets eight ninths. Whoever holds none is only refused when all are taken.
    Weight(usize),
    /// Who holds fewer than so many, while any is free.
    Most(usize),
    /// Who holds one already, and as many others as there are places: what a holder has given up a
    /// moment ago takes no place of others, and none of its own.
    Holders,
}

/// A number of places, for holders told apart by a key, given by one rule.
#[derive(Debug)]
pub struct Shares<K: Copy + Eq + Hash> {
    rule: Rule,
    table: Mutex<Table<K>>,
}

#[derive(Debug)]
struct Table<K> {
    places: usize,
    taken: usize,
    /// Never 0.
    held: HashMap<K, usize>,
}

/// One place; free again when dropped.
#[derive(Debug)]
pub struct Share<K: Copy + Eq + Hash> {
    shares: Arc<Shares<K>>,
    holder: K,
}

impl<K: Copy + Eq + Hash> Shares<K> {
    /// So many places, given by that rule.
    pub fn new(places: usize, rule: Rule) -> Arc<Self> {
        Arc::new(Self {
            rule,
            table: Mutex::new(Table {
                places,
                taken: 0,
                held: HashMap::new(),
            }),
        })
    }

    /// So many places from now on. Those who hold more than there are keep them.
    pub fn resize(&self, places: usize) {
        self.lock().places = places;
    }

    /// A place for `holder`; `None`: it has its share, or all are taken.
    pub fn take(self: &Arc<Self>, holder: K) -> Option<Share<K>> {
        let mut table = self.lock();
        let held = table.held.get(&holder).copied().unwrap_or(0);
        let admits = match self.rule {
            Rule::Weight(weight) => held < table.free().saturating_mul(weight),
            Rule::Most(most) => held < most && table.free() > 0,
            Rule::Holders => held > 0 || table.held.len() < table.places,
        };
        if !admits {
            return None;
        }
        table.taken += 1;
        table.held.insert(holder, held + 1);
        drop(table);
        Some(Share {
            shares: self.clone(),
            holder,
        })
    }

    /// Whether `holder` has a place.
    pub fn holds(&self, holder: K) -> bool {
        self.lock().held.contains_key(&holder)
    }

    /// Places that are taken.
    pub fn taken(&self) -> usize {
        self.lock().taken
    }

    fn lock(&self) -> MutexGuard<'_, Table<K>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Table<K> {
    fn free(&self) -> usize {
        self.places.saturating_sub(self.taken)
    }
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut table = self.shares.lock();
        table.taken -= 1;
        match table.held.get_mut(&self.holder) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                table.held.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(shares: &Arc<Shares<u8>>, holder: u8) -> Vec<Share<u8>> {
        std::iter::from_fn(|| shares.take(holder)).collect()
    }

    #[test]
    fn one_gets_half_and_the_others_always_something() {
        let shares = Shares::new(256, STRANGERS);
        let first = take_all(&shares, 1);
        assert_eq!(first.len(), 128);
        let second = take_all(&shares, 2);
        assert_eq!(second.len(), 64);
        assert!(shares.take(3).is_some());
        drop(first);
        assert_eq!(take_all(&shares, 1).len(), 96);
        assert_eq!(shares.taken(), 64);
        drop(second);
        assert_eq!(shares.taken(), 0);
        assert!(shares.lock().held.is_empty());
    }

    #[test]
    fn a_user_alone_gets_nearly_all() {
        let shares = Shares::new(9_000, MEMBERS);
        let first = take_all(&shares, 1);
        assert_eq!(first.len(), 8_000);
        assert_eq!(take_all(&shares, 2).len(), 889);
    }

    #[test]
    fn places_come_and_go_and_nobody_loses_one() {
        let shares = Shares::new(4, MEMBERS);
        let held = take_all(&shares, 1);
        assert_eq!(held.len(), 4);
        shares.resize(2);
        assert!(shares.take(2).is_none());
        assert_eq!(shares.taken(), 4);
        drop(held);
        assert_eq!(take_all(&shares, 2).len(), 2);
        shares.resize(3);
        assert_eq!(take_all(&shares, 2).len(), 3);
    }

    #[test]
    fn the_last_place_goes_to_who_has_none() {
        let shares = Shares::new(1, STRANGERS);
        let place = shares.take(1);
        assert!(place.is_some());
        assert!(shares.take(2).is_none());
        drop(place);
        assert!(shares.take(2).is_some());
        assert!(Shares::new(0, MEMBERS).take(1).is_none());
    }
    #[test]
    fn one_holder_takes_one_place_however_much_it_holds() {
        let holders = Shares::new(2, Rule::Holders);
        let mut first: Vec<_> = (0..100).map(|_| holders.take(1).unwrap()).collect();
        let second = holders.take(2).unwrap();
        assert!(holders.take(3).is_none());
        first.truncate(1);
        assert!(holders.take(3).is_none(), "it still holds one");
        first.clear();
        assert!(holders.take(3).is_some());
        drop(second);
        assert!(holders.lock().held.is_empty());
        assert!(Shares::new(0, Rule::Holders).take(1).is_none());
    }

    #[test]
    fn whoever_holds_the_most_of_one_holds_up_itself_alone() {
        let shares = Shares::new(7, Rule::Most(3));
        let mut slow = take_all(&shares, 1);
        assert_eq!(slow.len(), 3);
        assert!(shares.take(2).is_some());
        slow.pop();
        assert!(shares.take(1).is_some());
        let others: Vec<_> = (2..9).filter_map(|holder| shares.take(holder)).collect();
        assert_eq!(others.len(), 5, "all together are bounded");
    }
}

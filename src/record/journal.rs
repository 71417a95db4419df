//! What happened lately, for people and tools that ask later.
//!
//! Events of one class push out only their own: a link that flaps does not push out the failovers
//! that it causes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use super::event::Event;
use super::log;
use crate::clock::unix_ms;

/// What happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From 1 at the start of the process; grows with time.
    pub number: u64,
    /// Milliseconds since the Unix epoch by this host's clock.
    pub at_unix_ms: u64,
    pub what: Event,
}

/// The latest events of an agent. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    /// The number drawn last; 0: none yet.
    last: u64,
    entries: BTreeMap<Class, VecDeque<Entry>>,
}

/// Events that share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Links,
    Clocks,
    Sessions,
    Failovers,
    Recoveries,
    Health,
}

impl Class {
    /// `None`: not an event of this agent.
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::LinkUp { .. }
            | Event::LinkSuspect { .. }
            | Event::LinkCleared { .. }
            | Event::LinkDown { .. } => Some(Self::Links),
            Event::ClockSkew { .. } | Event::ClockSet { .. } => Some(Self::Clocks),
            Event::SessionOpened { .. } | Event::SessionEnded { .. } => Some(Self::Sessions),
            Event::Failover(_) => Some(Self::Failovers),
            Event::Recovered { .. } => Some(Self::Recoveries),
            Event::HealthDown { .. } | Event::HealthUp { .. } => Some(Self::Health),
            Event::Unknown => None,
        }
    }

    /// Events that are remembered.
    fn limit(self) -> usize {
        match self {
            // Every neighbour of a large agent once, as when its own network goes away.
            Self::Links => 1_024,
            // Told of once a minute for each agent, and 32 in all.
            Self::Clocks
            // Some minutes of an agent whose sessions come and go.
            | Self::Sessions
            // A day of a bad link, and every session of a middling agent when a transit of all of
            // them dies.
            | Self::Failovers
            | Self::Recoveries
            // Some minutes of the quickest checks that flap.
            | Self::Health => 256,
        }
    }
}

impl Journal {
    /// Enters an event with the time, and tells the log; returns its number.
    pub fn record(&self, what: Event) -> u64 {
        log::tell(&what);
        let mut lists = self.lock();
        lists.last += 1;
        let number = lists.last;
        if let Some(class) = Class::of(&what) {
            let entries = lists.entries.entry(class).or_default();
            if entries.len() >= class.limit() {
                entries.pop_front();
            }
            entries.push_back(Entry {
                number,
                at_unix_ms: unix_ms(),
                what,
            });
        }
        number
    }

    /// Changes the event of that number; `None` if it is not remembered any more.
    pub fn change<R>(&self, number: u64, change: impl FnOnce(&mut Event) -> R) -> Option<R> {
        let mut lists = self.lock();
        let found = lists.entries.values_mut().find_map(|entries| {
            let at = entries.binary_search_by_key(&number, |entry| entry.number);
            Some(&mut entries[at.ok()?].what)
        });
        found.map(change)
    }

    /// Events after number `since`, the newest last; all, if `since` is of an earlier process.
    pub fn since(&self, since: u64) -> Vec<Entry> {
        let lists = self.lock();
        let since = if since > lists.last { 0 } else { since };
        let entries = lists.entries.values().flatten();
        let mut events: Vec<Entry> = entries
            .filter(|entry| entry.number > since)
            .cloned()
            .collect();
        drop(lists);
        events.sort_by_key(|entry| entry.number);
        events
    }

    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().expect("no panic while locked")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::AgentId;

    fn numbers(journal: &Journal, since: u64) -> Vec<u64> {
        let entries = journal.since(since);
        entries.into_iter().map(|entry| entry.number).collect()
    }

    fn up() -> Event {
        let peer = AgentId([1; 16]);
        Event::LinkUp { peer }
    }

    #[test]
    fn the_oldest_goes_of_its_class_alone_and_numbers_run_across_all() {
        let (journal, set) = (Journal::default(), Event::ClockSet { ahead_ms: 1 });
        assert!(numbers(&journal, 0).is_empty());
        assert_eq!(journal.record(set.clone()), 1);
        for _ in 0..Class::Links.limit() {
            journal.record(up());
        }
        let last = journal.record(up());
        let left = numbers(&journal, 0);
        assert_eq!(left.len(), 1 + Class::Links.limit());
        assert_eq!((left[..2].to_vec(), left.last()), (vec![1, 3], Some(&last)));
        assert_eq!(journal.since(0)[0].what, set);
        assert_eq!(numbers(&journal, last - 1), [last]);
        assert!(numbers(&journal, last).is_empty());
        assert_eq!(numbers(&journal, last + 1), left);
    }

    #[test]
    fn only_events_that_are_left_change() {
        let journal = Journal::default();
        let stall = Duration::from_secs(1);
        let recovered = |failover| Event::Recovered { failover, stall };
        let gone = journal.record(recovered(1));
        for _ in 0..Class::Recoveries.limit() {
            journal.record(recovered(2));
        }
        let left = gone + 1;
        let replace = |what: &mut Event| std::mem::replace(what, recovered(3));
        assert_eq!(journal.change(gone, replace), None);
        assert_eq!(journal.change(left, replace), Some(recovered(2)));
        assert_eq!(journal.since(0)[0].what, recovered(3));
    }
}

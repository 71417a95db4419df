//! How often each source failed lately, and how much of it waits.
//!
//! Only failures count: behind one address translator or balancer many users may log in at once.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limit::{Network, Networks};

/// Failures that one source is forgiven at once: a person's typing errors fit, a search does not.
pub(super) const BURST: u32 = 5;

/// After that, one more attempt each.
pub(super) const FORGIVEN_AFTER: Duration = Duration::from_secs(1);

/// Sources remembered at once, some 100 bytes each. With so many failing in the same seconds,
/// nobody's unknown secret is hashed.
pub(super) const SOURCES: usize = 4_096;

/// At the bound, how often what is forgiven is looked for: it walks the whole table.
const SWEEP: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Source {
    /// When all its failures are forgiven; each moves it by [`FORGIVEN_AFTER`].
    clean_at: Instant,
    waiting: u32,
}

/// The memory of one door.
#[derive(Debug)]
pub(super) struct Attempts(Mutex<Networks<Source>>);

impl Default for Attempts {
    fn default() -> Self {
        Self(Mutex::new(Networks::new(SOURCES, SWEEP)))
    }
}

/// One attempt of a source that waits or is under way.
#[derive(Debug)]
pub(super) struct Ticket {
    attempts: Arc<Attempts>,
    network: Network,
    /// The source's failures and waiting attempts before this one: who has fewer goes first.
    pub(super) rank: u32,
}

impl Attempts {
    /// `None`: this source failed too often, or too many sources did.
    pub(super) fn enter(self: &Arc<Self>, source: IpAddr, now: Instant) -> Option<Ticket> {
        let network = Network::from(source);
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |source: &Source| source.waiting > 0 || source.clean_at > now;
        let new = || Source {
            clean_at: now,
            waiting: 0,
        };
        let entry = table.entry(network, now, counts, new)?;
        let failed = entry.failed(now);
        if failed >= BURST {
            return None;
        }
        let rank = failed + entry.waiting;
        entry.waiting += 1;
        drop(table);
        Some(Ticket {
            attempts: self.clone(),
            network,
            rank,
        })
    }
}

impl Source {
    /// Failures not yet forgiven.
    fn failed(&self, now: Instant) -> u32 {
        let left = self.clean_at.saturating_duration_since(now);
        u32::try_from(left.as_millis().div_ceil(FORGIVEN_AFTER.as_millis())).unwrap_or(u32::MAX)
    }
}

impl Ticket {
    /// Takes the attempt for a failure until [`Self::refund`]; `false`: one too many.
    pub(super) fn charge(&self, now: Instant) -> bool {
        self.with_source(|source| {
            if source.failed(now) >= BURST {
                return false;
            }
            source.clean_at = source.clean_at.max(now) + FORGIVEN_AFTER;
            true
        })
        .unwrap_or(false)
    }

    /// It was no failure.
    pub(super) fn refund(&self, now: Instant) {
        self.with_source(|source| {
            source.clean_at = source.clean_at.checked_sub(FORGIVEN_AFTER).unwrap_or(now);
        });
    }

    fn with_source<T>(&self, act: impl FnOnce(&mut Source) -> T) -> Option<T> {
        let mut table = self
            .attempts
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        table.get_mut(&self.network).map(act)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.with_source(|source| source.waiting = source.waiting.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn failures_are_forgiven_one_by_one_and_successes_cost_nothing() {
        let attempts = Arc::new(Attempts::default());
        let start = crate::clock::now();
        let enter = |now| attempts.enter(ip("192.0.2.1"), now);
        for _ in 0..100 {
            let ticket = enter(start).unwrap();
            assert!(ticket.charge(start));
            ticket.refund(start);
        }
        for failed in 0..BURST {
            let ticket = enter(start).unwrap();
            assert_eq!(ticket.rank, failed);
            assert!(ticket.charge(start));
        }
        assert!(enter(start).is_none());
        assert!(attempts.enter(ip("192.0.2.2"), start).is_some());
        let later = start + FORGIVEN_AFTER;
        assert!(enter(later).unwrap().charge(later));
        assert!(enter(later).is_none());
    }

    #[test]
    fn those_that_wait_count_and_cannot_all_be_charged() {
        let attempts = Arc::new(Attempts::default());
        let now = crate::clock::now();
        let waiting: Vec<Ticket> = (0..20)
            .filter_map(|_| attempts.enter(ip("192.0.2.1"), now))
            .collect();
        assert_eq!(waiting.last().unwrap().rank, 19);
        let charged = waiting.iter().filter(|ticket| ticket.charge(now)).count();
        assert_eq!(charged, BURST as usize);
    }

    #[test]
    fn sources_are_remembered_up_to_a_bound_and_forgotten_when_clean() {
        let attempts = Arc::new(Attempts::default());
        let now = crate::clock::now();
        for n in 0..u32::try_from(SOURCES).unwrap() {
            assert!(
                attempts
                    .enter(IpAddr::V4(n.into()), now)
                    .unwrap()
                    .charge(now)
            );
        }
        assert!(attempts.enter(ip("198.51.100.1"), now).is_none());
        let later = now + FORGIVEN_AFTER;
        assert!(attempts.enter(ip("198.51.100.1"), later).is_some());
        assert_eq!(attempts.0.lock().unwrap().count(), 1);
    }
}

//! Whose a name was until a while ago: nobody else is asked for it, though its domain route is gone.
//!
//! Who has many names withdrawn is the first to be forgotten. An exit that advertises fresh names over
//! and over pushes out its own, and no other exit's.

#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::identity::{AgentId, DomainPattern};

use super::prefix::PrefixTable;

/// How long nobody else is asked for a name after its domain route was withdrawn or has expired. Who
/// withdraws it for good knows; who lost it, by a failed check or a long outage, mostly has it back.
const OWNED: Duration = Duration::from_secs(600);

/// What origins advertised within [`OWNED`] and do not any more. Noting, ending and forgetting one costs
/// a few look-ups, however many there are.
#[derive(Debug, Default)]
pub(super) struct Owned {
    /// Which withdrawal of each pattern is each origin's last.
    patterns: BTreeMap<Arc<DomainPattern>, BTreeMap<AgentId, Number>>,
    /// In the order of time.
    withdrawals: BTreeMap<Number, Withdrawal>,
    /// Those of each origin.
    origins: BTreeMap<AgentId, BTreeSet<Number>>,
    /// Origins by how many they have.
    sizes: BTreeSet<(usize, AgentId)>,
    /// The next withdrawal's.
    next: Number,
}

/// Withdrawals are numbered as they come.
type Number = u64;

#[derive(Debug)]
struct Withdrawal {
    at: Instant,
    origin: AgentId,
    pattern: Arc<DomainPattern>,
}

impl Owned {
    /// `after` takes the place of `before`. At most `limit` withdrawals are remembered.
    pub(super) fn handle_change(
        &mut self,
        now: Instant,
        before: &PrefixTable,
        after: &PrefixTable,
        limit: usize,
    ) {
        self.forget(now);
        for (pattern, origin) in after.withdrawn_domains(before) {
            self.note(now, origin, pattern);
            if self.withdrawals.len() > limit {
                self.forget_one_of_most();
            }
        }
    }

    /// Whether somebody advertised `pattern` until a while ago.
    pub(super) fn holds(&self, now: Instant, pattern: &DomainPattern) -> bool {
        let Some(origins) = self.patterns.get(pattern) else {
            return false;
        };
        let mut withdrawn = origins.values().map(|number| &self.withdrawals[number]);
        withdrawn.any(|withdrawal| is_recent(now, withdrawal.at))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.withdrawals.is_empty()
    }

    fn note(&mut self, now: Instant, origin: AgentId, pattern: &DomainPattern) {
        let earlier = self.patterns.get(pattern);
        if let Some(&number) = earlier.and_then(|origins| origins.get(&origin)) {
            self.remove(number);
        }
        let number = self.next;
        self.next += 1;
        let pattern = Arc::new(pattern.clone());
        let of_pattern = self.patterns.entry(pattern.clone()).or_default();
        of_pattern.insert(origin, number);
        self.change(origin, |numbers| numbers.insert(number));
        let withdrawal = Withdrawal {
            at: now,
            origin,
            pattern,
        };
        self.withdrawals.insert(number, withdrawal);
    }

    fn forget(&mut self, now: Instant) {
        while let Some((&oldest, withdrawal)) = self.withdrawals.first_key_value()
            && !is_recent(now, withdrawal.at)
        {
            self.remove(oldest);
        }
    }

    /// Forgets the oldest withdrawal of the origin that has the most.
    fn forget_one_of_most(&mut self) {
        let Some((_, origin)) = self.sizes.last() else {
            return;
        };
        if let Some(&oldest) = self.origins[origin].first() {
            self.remove(oldest);
        }
    }

    fn remove(&mut self, number: Number) {
        let Some(withdrawal) = self.withdrawals.remove(&number) else {
            return;
        };
        let (pattern, origin) = (withdrawal.pattern, withdrawal.origin);
        if let Some(origins) = self.patterns.get_mut(&pattern) {
            origins.remove(&origin);
            if origins.is_empty() {
                self.patterns.remove(&pattern);
            }
        }
        self.change(origin, |numbers| numbers.remove(&number));
    }

    fn change(&mut self, origin: AgentId, how: impl FnOnce(&mut BTreeSet<Number>) -> bool) {
        let numbers = self.origins.entry(origin).or_default();
        self.sizes.remove(&(numbers.len(), origin));
        how(numbers);
        if numbers.is_empty() {
            self.origins.remove(&origin);
        } else {
            self.sizes.insert((numbers.len(), origin));
        }
    }
}

fn is_recent(now: Instant, withdrawn: Instant) -> bool {
    now.saturating_duration_since(withdrawn) < OWNED
}

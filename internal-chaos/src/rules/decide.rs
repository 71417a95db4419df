//! The set of rules: what each packet's verdict is.

use std::collections::BTreeMap;
use std::num::ParseIntError;
use std::str::FromStr;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use super::{Matcher, Rule, Verdict};
use crate::packet::Direction;

/// Names a rule as long as it lasts. Ids are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct RuleId(u64);

impl FromStr for RuleId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

/// The rules in force. Equal seeds, rules and packets give equal verdicts.
#[derive(Debug)]
pub struct Rules {
    /// In the order in which they were added.
    entries: BTreeMap<RuleId, Entry>,
    next: u64,
    random: StdRng,
}

#[derive(Debug)]
struct Entry {
    rule: Rule,
    /// Packets that fitted.
    fitted: u64,
    /// Packets that it decided.
    decided: u64,
}

impl Rules {
    pub fn new(seed: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            next: 0,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// Adds a rule behind all others.
    pub fn add(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.next);
        self.next += 1;
        let entry = Entry {
            rule,
            fitted: 0,
            decided: 0,
        };
        self.entries.insert(id, entry);
        id
    }

    /// Removes a rule, if it is still there. What it delayed still comes.
    pub fn remove(&mut self, id: RuleId) {
        self.entries.remove(&id);
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many packets a rule has decided so far; `None` once it is removed.
    pub fn decided(&self, id: RuleId) -> Option<u64> {
        self.entries.get(&id).map(|entry| entry.decided)
    }

    /// What shall happen to a packet.
    pub fn handle_packet(&mut self, direction: Direction, payload: &[u8]) -> Verdict {
        for entry in self.entries.values_mut() {
            let Matcher {
                nth, probability, ..
            } = entry.rule.matcher;
            if !entry.rule.matcher.fits(direction, payload) {
                continue;
            }
            entry.fitted += 1;
            if nth.is_some_and(|nth| !nth.includes(entry.fitted)) {
                continue;
            }
            if self.random.random_bool(probability.value()) {
                entry.decided += 1;
                return entry.rule.verdict;
            }
        }
        Verdict::Pass
    }

    /// Inverts a bit in each of `bytes` bytes of the payload, or in all of them.
    pub fn corrupt(&mut self, payload: &mut [u8], bytes: u16) {
        let count = usize::from(bytes).min(payload.len());
        for at in rand::seq::index::sample(&mut self.random, payload.len(), count) {
            payload[at] ^= 1 << self.random.random_range(0..8);
        }
    }
}

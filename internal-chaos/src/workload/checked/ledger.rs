//! What the two ends of a load know of each other if they are in one process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::protocol::Answer;
use super::watch::Watch;

/// Uploads remembered; the ones with the lowest seeds are forgotten first.
const MOST_ENTRIES: usize = 100_000;

/// Rest between two looks.
const POLL: Duration = Duration::from_millis(20);

/// Connections by their seeds. One server and the loads that it serves share it.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Ended uploads, for when the target's answer does not arrive.
    entries: Mutex<BTreeMap<u64, Answer>>,
    watches: Mutex<BTreeMap<u64, Weak<Watch>>>,
}

fn lock<T>(map: &Mutex<BTreeMap<u64, T>>) -> MutexGuard<'_, BTreeMap<u64, T>> {
    // A map is whole between two calls.
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    /// Lets the target use this watch for the connection with this seed.
    pub fn announce(&self, seed: u64, watch: &Arc<Watch>) {
        let mut watches = lock(&self.watches);
        watches.retain(|_, watch| watch.strong_count() > 0);
        watches.insert(seed, Arc::downgrade(watch));
    }

    /// The watch that was announced, or one that nobody looks at.
    pub(super) fn watch(&self, seed: u64) -> Arc<Watch> {
        let announced = lock(&self.watches).get(&seed).and_then(Weak::upgrade);
        announced.unwrap_or_default()
    }

    pub(super) fn enter(&self, seed: u64, answer: Answer) {
        let mut entries = lock(&self.entries);
        entries.insert(seed, answer);
        if entries.len() > MOST_ENTRIES {
            entries.pop_first();
        }
    }

    /// What arrived of an upload that has ended at the target.
    pub(super) fn take(&self, seed: u64) -> Option<Answer> {
        lock(&self.entries).remove(&seed)
    }

    /// What arrived of an upload, once its connection has ended at the target; waits for that
    /// until `deadline`.
    pub(super) async fn settled(&self, seed: u64, deadline: Instant) -> Option<Answer> {
        loop {
            let entry = self.take(seed);
            if entry.is_some() || Instant::now() >= deadline {
                return entry;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

//! What the target saw of uploads, for when its answer does not arrive.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::protocol::Answer;

/// Uploads remembered; the ones with the lowest seeds are forgotten first.
const MOST_ENTRIES: usize = 100_000;

/// Rest between two looks.
const POLL: Duration = Duration::from_millis(20);

/// Ended uploads by their seeds. One server and the loads that it serves share it.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<BTreeMap<u64, Answer>>,
}

impl Ledger {
    pub(super) fn enter(&self, seed: u64, answer: Answer) {
        let mut entries = self.entries();
        entries.insert(seed, answer);
        if entries.len() > MOST_ENTRIES {
            entries.pop_first();
        }
    }

    /// What arrived of an upload, once its connection has ended at the target; waits for that
    /// until `deadline`.
    pub(super) async fn settled(&self, seed: u64, deadline: Instant) -> Option<Answer> {
        loop {
            let entry = self.entries().remove(&seed);
            if entry.is_some() || Instant::now() >= deadline {
                return entry;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub(super) fn forget(&self, seed: u64) {
        self.entries().remove(&seed);
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Answer>> {
        // A map is whole between two calls.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

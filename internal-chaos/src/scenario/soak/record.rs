//! What was seen of a soak: plain data. Times count from its beginning.

use std::time::Duration;

use serde::Serialize;

use super::super::origin::Origins;
use super::super::record::{self, End, Outcome, millis};
use super::sample::Sample;

/// Errors that a cycle quotes of connections that did not come about or broke.
const MOST_ERRORS: usize = 4;

/// Everything that was seen.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    #[serde(serialize_with = "millis")]
    pub length: Duration,
    pub cycles: Vec<Cycle>,
    pub samples: Vec<Sample>,
    /// Agents that ended by themselves.
    pub deaths: Vec<String>,
    pub origins: Origins,
}

/// One load and the quiet state after it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cycle {
    /// From 1 on.
    pub number: usize,
    #[serde(serialize_with = "millis")]
    pub began: Duration,
    pub faults: Vec<Struck>,
    /// Bytes that were checked.
    pub bytes: u64,
    /// Connections, and what became of them: faults refuse and break some.
    pub tried: u64,
    pub failed: u64,
    pub broken: u64,
    pub errors: Vec<String>,
    /// What was wrong with bytes that arrived.
    pub damaged: Vec<String>,
    /// What did not come back after the faults.
    pub lost: Vec<String>,
    /// From the end of the load until the mesh was whole and carried a new connection.
    #[serde(serialize_with = "millis")]
    pub recovery: Duration,
    /// The longest time in which a thread that only watches the clock was not run.
    #[serde(serialize_with = "millis")]
    pub pause: Duration,
}

/// A fault that was done and undone.
#[derive(Clone, Debug, Serialize)]
pub struct Struck {
    pub fault: String,
    #[serde(serialize_with = "millis")]
    pub at: Duration,
    #[serde(serialize_with = "millis")]
    pub until: Duration,
}

impl Cycle {
    /// Adds what the load saw.
    pub(super) fn count(&mut self, seen: &record::Record) {
        self.bytes += seen.bytes();
        self.tried += seen.tried();
        self.failed += seen.failed();
        self.broken += seen.broken();
        self.pause = self.pause.max(seen.pause);
        for flow in &seen.flows {
            match &flow.end {
                End::Complete => {}
                End::Broken(error) => self.errors.push(error.clone()),
                End::Damaged(damage) => self.damaged.push(format!("{}: {damage}", flow.name)),
            }
        }
        for attempt in &seen.attempts {
            match &attempt.outcome {
                Outcome::Echoed => {}
                Outcome::Failed { error, .. } | Outcome::Broken(error) => {
                    self.errors.push(error.clone());
                }
            }
        }
        for tally in &seen.tallies {
            self.errors.extend(tally.errors.iter().cloned());
            let damaged = tally.damaged.iter();
            self.damaged
                .extend(damaged.map(|damage| format!("{}: {damage}", tally.name)));
        }
        self.errors.sort();
        self.errors.dedup();
        self.errors.truncate(MOST_ERRORS);
    }

    /// As it goes, for people.
    pub(super) fn line(&self) -> String {
        let mut line = format!(
            "cycle {}: {} faults, {:.1} MB checked, {} of {} connections failed, {} broken, \
             whole again after {} ms",
            self.number,
            self.faults.len(),
            self.bytes as f64 / 1e6,
            self.failed,
            self.tried,
            self.broken,
            self.recovery.as_millis(),
        );
        for wrong in self.damaged.iter().chain(&self.lost) {
            line.push_str(&format!("; {wrong}"));
        }
        line
    }
}

//! What was seen of a soak: plain data. Times count from its beginning.

use std::slice;
use std::time::Duration;

use serde::Serialize;

use super::super::origin::Origins;
use super::super::record::{self, End, Outcome, Struck, millis};
use super::excuse::Excuses;
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
    /// Open connections that broke though no fault excuses it.
    pub unprovoked: Vec<String>,
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

impl Cycle {
    /// Adds what the load saw. Its times count from the beginning of the cycle, those of `excuses`
    /// from the beginning of the soak.
    pub(super) fn count(&mut self, seen: &record::Record, excuses: &Excuses<'_>) {
        self.bytes += seen.bytes();
        self.tried += seen.tried();
        self.failed += seen.failed();
        self.broken += seen.broken();
        self.pause = self.pause.max(seen.pause);
        for broken in breaks(seen) {
            let (from, to) = (self.began + broken.from, self.began + broken.to);
            if !excuses.within(from, to) {
                let (at, error) = (to.as_millis(), broken.errors.join(", "));
                self.unprovoked
                    .push(format!("{} at {at} ms: {error}", broken.what));
            }
            self.errors.extend(broken.errors.iter().cloned());
        }
        for flow in &seen.flows {
            if let End::Damaged(damage) = &flow.end {
                self.damaged.push(format!("{}: {damage}", flow.name));
            }
        }
        for attempt in &seen.attempts {
            if let Outcome::Failed { error, .. } = &attempt.outcome {
                self.errors.push(error.clone());
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
        let wrong = self.damaged.iter().chain(&self.lost);
        for wrong in wrong.chain(&self.unprovoked) {
            line.push_str(&format!("; {wrong}"));
        }
        line
    }
}

/// One connection that broke at some time from `from` to `to`, or several of one load.
struct Broken<'a> {
    what: String,
    from: Duration,
    to: Duration,
    errors: &'a [String],
}

fn breaks(seen: &record::Record) -> impl Iterator<Item = Broken<'_>> {
    let flows = seen.flows.iter().filter_map(|flow| match &flow.end {
        End::Complete | End::Damaged(_) => None,
        End::Broken(error) => Some(Broken {
            what: flow.name.clone(),
            from: flow.over,
            to: flow.over,
            errors: slice::from_ref(error),
        }),
    });
    let attempts = seen.attempts.iter().filter_map(|it| match &it.outcome {
        Outcome::Echoed | Outcome::Failed { .. } => None,
        Outcome::Broken(error) => Some(Broken {
            what: "a new connection".to_owned(),
            from: it.ended,
            to: it.ended,
            errors: slice::from_ref(error),
        }),
    });
    let tallies = seen.tallies.iter().filter(|tally| tally.broken > 0);
    let tallies = tallies.map(|tally| Broken {
        what: format!("{} of {}", tally.broken, tally.name),
        from: tally.begun,
        to: tally.over,
        errors: &tally.errors,
    });
    flows.chain(attempts).chain(tallies)
}

#[cfg(test)]
mod tests {
    use super::super::super::file;
    use super::super::super::record::{Attempt, Flow, Tally};
    use super::super::cli::MESH;
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn flow(name: &str, over: u64) -> Flow {
        Flow {
            name: name.to_owned(),
            bytes: 1,
            begun: ms(0),
            ended: ms(over.min(7_000)),
            over: ms(over),
            end: End::Broken("reset".to_owned()),
            arrivals: Vec::new(),
        }
    }

    fn attempt(begun: u64, outcome: Outcome) -> Attempt {
        Attempt {
            begun: ms(begun),
            ended: ms(begun + 10),
            outcome,
        }
    }

    fn tally(name: &str, begun: u64, over: u64) -> Tally {
        Tally {
            name: name.to_owned(),
            begun: ms(begun),
            over: ms(over),
            broken: 1,
            errors: vec!["it hung".to_owned()],
            ..Tally::default()
        }
    }

    #[test]
    fn what_no_fault_excuses_is_told() {
        // The cycle began 100 s after the soak; an exit was killed 2 s later.
        let scenario = file::parse("soak", "soak.yaml", MESH).unwrap();
        let mut faults = scenario.faults.iter().map(|fault| fault.text.clone());
        let kill = Struck {
            fault: faults.find(|it| it.starts_with("kill exit-b")).unwrap(),
            at: ms(102_000),
            until: Some(ms(103_000)),
            decided: 0,
        };
        let mut cycle = Cycle {
            began: ms(100_000),
            ..Cycle::default()
        };
        let broken = || Outcome::Broken("reset".to_owned());
        let refused = Outcome::Failed {
            reply: Some(3),
            error: "refused".to_owned(),
        };
        let seen = record::Record {
            flows: vec![
                flow("before", 1_999),
                flow("by it", 3_300),
                flow("hung", 22_000),
            ],
            attempts: vec![
                attempt(1_985, broken()),
                attempt(9_500, broken()),
                attempt(2_500, refused),
            ],
            tallies: vec![tally("chain", 0, 5_000), tally("requests", 10_000, 24_000)],
            ..record::Record::default()
        };
        cycle.count(&seen, &Excuses::new(&scenario, &[kill], ms(0)));
        assert_eq!((cycle.broken, cycle.failed), (7, 1));
        assert_eq!(
            cycle.unprovoked,
            [
                "before at 101999 ms: reset",
                "hung at 122000 ms: reset",
                "a new connection at 101995 ms: reset",
                "a new connection at 109510 ms: reset",
                "1 of requests at 124000 ms: it hung",
            ]
        );
    }
}

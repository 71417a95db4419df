//! Times in which the whole machine stood still. A link that hears nothing for as long as links live in
//! silence is lost, and rightly so; that the silence was the machine's is told by a thread that only
//! watches the clock. What was lost then, or until links could be back, is counted by itself: pure.

use std::time::Duration;

use super::finding::{Finding, finding, quote};
use super::model::Scenario;
use super::record::{End, Outcome, Pause, Record};
use super::text::Bound;

/// Links go down after so much silence at default settings (`heartbeat` times `dead_after`).
const LEAST: Duration = Duration::from_millis(300);

/// How long a standstill is felt, on short links and in round trips of the longest one: a fault of all
/// agents, see [`soak`](super::soak).
const FELT: Duration = Duration::from_secs(3);
const FELT_ROUNDS: u32 = 8;

/// What is whose.
#[derive(Debug)]
pub(super) struct Standstills<'a> {
    pauses: Vec<&'a Pause>,
    felt: Duration,
}

/// Things of one kind that were lost between two moments.
#[derive(Debug)]
struct Loss {
    from: Duration,
    to: Duration,
    count: u64,
    errors: Vec<String>,
}

impl<'a> Standstills<'a> {
    pub(super) fn of(scenario: &Scenario, record: &'a Record) -> Self {
        let links = scenario.links.iter();
        let longest = links.map(|link| link.condition.round_trip()).max();
        let long_enough = |pause: &&Pause| pause.to.saturating_sub(pause.from) >= LEAST;
        Self {
            pauses: record.pauses.iter().filter(long_enough).collect(),
            felt: FELT + longest.unwrap_or_default() * FELT_ROUNDS,
        }
    }

    /// Links that agents lost.
    pub(super) fn downs(&self, bound: Bound, record: &Record) -> Finding {
        let losses = record.link_downs().map(|event| {
            let at = event.at.as_millis();
            Loss {
                from: event.at,
                to: event.at,
                count: 1,
                errors: vec![format!("{} at {at} ms: {}", event.agent, event.text)],
            }
        });
        self.judge("links went down", bound, losses, None)
    }

    /// Open connections that ended early.
    pub(super) fn broken(&self, bound: Bound, record: &Record) -> Finding {
        let flows = record.flows.iter().filter_map(|flow| match &flow.end {
            End::Broken(error) => Some(Loss::one((flow.ended, flow.over), error)),
            End::Complete | End::Damaged(_) => None,
        });
        let attempts = record.attempts.iter().filter_map(|it| match &it.outcome {
            Outcome::Broken(error) => Some(Loss::one((it.begun, it.ended), error)),
            Outcome::Echoed | Outcome::Failed { .. } => None,
        });
        let tallied = record.tallies.iter().map(|tally| Loss {
            from: tally.begun,
            to: tally.over,
            count: tally.broken,
            errors: tally.errors.clone(),
        });
        let losses = flows.chain(attempts).chain(tallied);
        self.judge("open connections broken", bound, losses, None)
    }

    /// New connections that did not come about.
    pub(super) fn failed(&self, bound: Bound, record: &Record) -> Finding {
        let attempts = record.attempts.iter().filter_map(|it| match &it.outcome {
            Outcome::Failed { error, .. } => Some(Loss::one((it.begun, it.ended), error)),
            Outcome::Echoed | Outcome::Broken(_) => None,
        });
        let tallied = record.tallies.iter().map(|tally| Loss {
            from: tally.begun,
            to: tally.over,
            count: tally.failed,
            errors: tally.errors.clone(),
        });
        let losses = attempts.chain(tallied);
        let tried = Some(record.tried());
        self.judge("new connections failed", bound, losses, tried)
    }

    /// Counts what is not the machine's, and tells of both. `of`: so many were tried.
    fn judge(
        &self,
        invariant: &str,
        bound: Bound,
        losses: impl Iterator<Item = Loss>,
        of: Option<u64>,
    ) -> Finding {
        let losses = losses.filter(|loss| loss.count > 0);
        let (excused, own): (Vec<Loss>, Vec<Loss>) = losses.partition(|loss| self.excuse(loss));
        let count = |losses: &[Loss]| losses.iter().map(|loss| loss.count).sum::<u64>();
        let (mine, machines) = (count(&own), count(&excused));
        let mut seen = mine.to_string();
        if let Some(tried) = of {
            seen.push_str(&format!(" of {tried}"));
        }
        if !own.is_empty() {
            let errors = own.iter().flat_map(|loss| &loss.errors);
            seen.push_str(&format!(": {}", quote(errors.map(String::as_str))));
        }
        if machines > 0 {
            seen.push_str(&format!("; {machines} more as the machine stood still"));
        }
        // What was wanted may have come while it stood still.
        let mut may_be = mine..=mine + machines;
        let holds = may_be.any(|count| bound.allows(count)) && of != Some(0);
        finding(invariant, holds, bound.to_string(), seen)
    }

    fn excuse(&self, loss: &Loss) -> bool {
        let felt = |pause: &&Pause| pause.from <= loss.to && loss.from <= pause.to + self.felt;
        self.pauses.iter().any(felt)
    }
}

impl Loss {
    fn one((from, to): (Duration, Duration), error: &str) -> Self {
        Self {
            from,
            to,
            count: 1,
            errors: vec![error.to_owned()],
        }
    }
}

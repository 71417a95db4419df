//! What was seen of one run: plain data, so that judging and drawing it need no mesh. Times count
//! from the beginning of the load.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::origin::Origins;
pub use crate::workload::Outcome;

/// Everything that was seen.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    #[serde(serialize_with = "millis")]
    pub length: Duration,
    /// From the start of the agents until each knew every link and every ingress a way to every exit.
    #[serde(serialize_with = "millis")]
    pub formed: Duration,
    /// What agents told of until then. Its times are 0.
    pub forming: Vec<Event>,
    /// Attempts to reach a peer that failed, from the start of the agents to the end.
    pub failed_dials: u64,
    pub faults: Vec<Struck>,
    pub flows: Vec<Flow>,
    pub attempts: Vec<Attempt>,
    pub tallies: Vec<Tally>,
    pub events: Vec<Event>,
    /// The hops that most connections took, whenever that changed.
    pub paths: Vec<PathSeen>,
    /// What `/healthz` said at the end; `None`: nothing.
    pub health: BTreeMap<String, Option<String>>,
    /// Reasons that `/healthz` gave, and when first.
    pub reasons: Vec<Reason>,
    pub growth: Vec<Growth>,
    /// Agents that ended by themselves.
    pub deaths: Vec<String>,
    pub origins: Origins,
    /// The longest time in which a thread that only watches the clock was not run.
    #[serde(serialize_with = "millis")]
    pub pause: Duration,
    /// All such times of a tenth of a second or more.
    pub pauses: Vec<Pause>,
}

/// A time in which the machine stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pause {
    #[serde(serialize_with = "millis")]
    pub from: Duration,
    #[serde(serialize_with = "millis")]
    pub to: Duration,
}

/// A fault that was done.
#[derive(Clone, Debug, Serialize)]
pub struct Struck {
    pub fault: String,
    #[serde(serialize_with = "millis")]
    pub at: Duration,
    /// When it was undone.
    #[serde(serialize_with = "maybe_millis")]
    pub until: Option<Duration>,
    /// Packets that its rules decided, for one that has rules.
    pub decided: u64,
}

/// One transfer.
#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    pub name: String,
    pub bytes: u64,
    #[serde(serialize_with = "millis")]
    pub begun: Duration,
    /// When it was told to end, or ended before.
    #[serde(serialize_with = "millis")]
    pub ended: Duration,
    /// When it was over: later than `ended` by what was under way.
    #[serde(serialize_with = "millis")]
    pub over: Duration,
    pub end: End,
    #[serde(skip)]
    pub arrivals: Vec<(Duration, usize)>,
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Every byte that was sent has arrived.
    Complete,
    Broken(String),
    Damaged(String),
}

/// One new connection.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    #[serde(serialize_with = "millis")]
    pub begun: Duration,
    #[serde(serialize_with = "millis")]
    pub ended: Duration,
    pub outcome: Outcome,
}

/// A load of which only sums are known.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    pub name: String,
    #[serde(serialize_with = "millis")]
    pub begun: Duration,
    /// When the last connection was over.
    #[serde(serialize_with = "millis")]
    pub over: Duration,
    pub bytes: u64,
    pub ok: u64,
    pub failed: u64,
    pub broken: u64,
    /// What was wrong with bytes that arrived.
    pub damaged: Vec<String>,
    pub longest_stall_ms: f64,
    pub errors: Vec<String>,
}

/// What an agent told of.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    #[serde(serialize_with = "millis")]
    pub at: Duration,
    pub agent: String,
    pub kind: String,
    /// Agents by their names.
    pub text: String,
    pub is_ingress: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct PathSeen {
    #[serde(serialize_with = "millis")]
    pub at: Duration,
    pub path: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Reason {
    #[serde(serialize_with = "millis")]
    pub at: Duration,
    pub agent: String,
    pub reason: String,
}

/// What an agent grew by: after the load against before.
#[derive(Clone, Debug, Serialize)]
pub struct Growth {
    pub agent: String,
    pub memory_bytes: i64,
    pub descriptors: i64,
}

pub(super) fn millis<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(in_millis(*time))
}

fn maybe_millis<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => millis(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// To the microsecond.
pub fn in_millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}

impl Flow {
    /// The longest time in which nothing arrived.
    pub fn stall(&self) -> Duration {
        let all = self.stalls(Duration::ZERO).into_iter();
        all.map(|(from, to)| to - from).max().unwrap_or_default()
    }

    /// The times in which nothing arrived for at least `least`.
    pub fn stalls(&self, least: Duration) -> Vec<(Duration, Duration)> {
        let mut last = self.begun;
        let mut stalls = Vec::new();
        let inside = self.arrivals.iter().map(|(at, _)| *at);
        for at in inside.filter(|at| *at < self.ended).chain([self.ended]) {
            if at.saturating_sub(last) >= least {
                stalls.push((last, at.max(last)));
            }
            last = at;
        }
        stalls
    }

    pub fn is_broken(&self) -> bool {
        matches!(self.end, End::Broken(_))
    }
}

impl Attempt {
    pub fn wait(&self) -> Duration {
        self.ended.saturating_sub(self.begun)
    }
}

impl Record {
    /// Open connections that ended early.
    pub fn broken(&self) -> u64 {
        let flows = self.flows.iter().filter(|flow| flow.is_broken()).count();
        let attempts = self.attempts.iter();
        let attempts = attempts.filter(|it| matches!(it.outcome, Outcome::Broken(_)));
        let tallies: u64 = self.tallies.iter().map(|tally| tally.broken).sum();
        (flows + attempts.count()) as u64 + tallies
    }

    /// New connections that did not come about.
    pub fn failed(&self) -> u64 {
        let attempts = self.attempts.iter();
        let attempts = attempts.filter(|it| matches!(it.outcome, Outcome::Failed { .. }));
        let tallies: u64 = self.tallies.iter().map(|tally| tally.failed).sum();
        attempts.count() as u64 + tallies
    }

    /// Connections that were tried, of all loads.
    pub fn tried(&self) -> u64 {
        let tallies = self.tallies.iter();
        let tallies: u64 = tallies.map(|it| it.ok + it.failed + it.broken).sum();
        (self.flows.len() + self.attempts.len()) as u64 + tallies
    }

    /// Bytes that were checked.
    pub fn bytes(&self) -> u64 {
        let flows: u64 = self.flows.iter().map(|flow| flow.bytes).sum();
        flows + self.tallies.iter().map(|tally| tally.bytes).sum::<u64>()
    }

    /// Links that agents lost since they were started, as each of them told.
    pub fn link_downs(&self) -> impl Iterator<Item = &Event> {
        let events = self.forming.iter().chain(&self.events);
        events.filter(|event| event.kind == "link_down")
    }

    /// What transfers of that name carried together, Mbit/s; `None` if there were none. One that broke
    /// and began anew carries from its first connection to the end of its last.
    pub fn mbit(&self, work: &str) -> Option<f64> {
        let mut transfers: BTreeMap<&str, (u64, Duration, Duration)> = BTreeMap::new();
        for flow in self.flows.iter().filter(|it| it.name.starts_with(work)) {
            let new = (0, flow.begun, flow.over);
            let (bytes, begun, over) = transfers.entry(&flow.name).or_insert(new);
            *bytes += flow.bytes;
            (*begun, *over) = (flow.begun.min(*begun), flow.over.max(*over));
        }
        let rates = transfers.values().map(|(bytes, begun, over)| {
            let time = over.saturating_sub(*begun).as_secs_f64();
            *bytes as f64 * 8e-6 / time.max(f64::EPSILON)
        });
        rates.reduce(|sum, rate| sum + rate)
    }

    /// When the last fault began or was undone.
    pub fn quiet_from(&self) -> Duration {
        let ends = self.faults.iter().map(|it| it.until.unwrap_or(it.at));
        ends.max().unwrap_or_default()
    }

    /// What the ingresses told of moves.
    pub fn failovers(&self) -> impl Iterator<Item = &Event> {
        let events = self.events.iter();
        events.filter(|event| event.is_ingress && event.kind == "failover")
    }
}

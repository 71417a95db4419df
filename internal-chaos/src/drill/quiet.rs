//! Full load without any fault: what the mesh suspects or gives up then, it does so falsely.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::Value;

use super::connects::millis;
use super::heartbeat::{Heartbeat, heartbeat_name, keys};
use super::leak::{self, Leaks};
use super::load::Plan;
use super::repeat::Drill;
use super::site::{LINKS, Node};
use crate::mesh::Agents;
use crate::workload::Outcome;
use crate::workload::checked::Ending;

/// The longest until a frozen agent is suspected and given up: many heartbeats.
const ALARM_LIMIT: Duration = Duration::from_secs(10);

/// Rest between two looks at the logs.
const POLL: Duration = Duration::from_millis(50);

/// What was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quiet {
    pub heartbeat: String,
    pub seconds: u64,
    pub downloads: u32,
    pub uploads: u32,
    /// On average, both directions together.
    pub gbit_per_second: f64,
    pub links: Vec<Alarms>,
    pub damaged: usize,
    /// Transfers and new connections.
    pub broken: usize,
    pub connects: usize,
    pub failed_connects: usize,
    pub leaks: Leaks,
    /// The longest time in which the machine did not run the drill's clock.
    pub pause_ms: f64,
}

/// False alarms about one link, those of both ends together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarms {
    pub link: String,
    pub suspicions: usize,
    pub downs: usize,
}

/// What an agent says about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alarm {
    Suspicion,
    Down,
}

impl Quiet {
    /// Of the link with the most.
    pub fn worst_suspicions_per_minute(&self) -> f64 {
        let most = self.links.iter().map(|link| link.suspicions).max();
        most.unwrap_or(0) as f64 * 60.0 / self.seconds.max(1) as f64
    }

    /// Of all links.
    pub fn downs(&self) -> usize {
        self.links.iter().map(|link| link.downs).sum()
    }

    /// Whether what happened must never happen.
    pub fn is_wrong(&self) -> bool {
        self.damaged > 0 || self.broken > 0 || self.leaks.total() > 0
    }
}

impl Drill {
    /// Loads a fresh mesh as much as it goes, for so many seconds.
    pub async fn quiet(
        &mut self,
        heartbeat: Heartbeat,
        flows: u32,
        seed: u64,
        seconds: u64,
    ) -> anyhow::Result<Quiet> {
        self.end_mesh().await;
        self.agents.start(&keys(heartbeat)).await?;
        leak::take(&self.site)?;
        let plan = Plan {
            downloads: flows,
            uploads: flows,
            rate: None,
            seed,
            remember: false,
        };
        let before = log_lengths(&self.agents)?;
        let load = self.range.load(plan).await?;
        let bytes = load.bytes();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let bytes = load.bytes() - bytes;
        let alarms = alarms(&self.agents, &before)?;
        let finished = load.finish().await?;
        let leaks = leak::take(&self.site)?;
        prove_alarms(&self.agents).await?;
        self.agents.stop().await;
        let ends = |is: fn(&Option<Ending>) -> bool| {
            let transfers = finished.transfers.iter();
            transfers.filter(|one| is(&one.ending)).count()
        };
        let connects = |is: fn(&Outcome) -> bool| {
            let outcomes = finished.attempts.iter().map(|attempt| &attempt.outcome);
            outcomes.filter(|outcome| is(outcome)).count()
        };
        Ok(Quiet {
            heartbeat: heartbeat_name(heartbeat),
            seconds,
            downloads: flows,
            uploads: flows,
            gbit_per_second: bytes as f64 * 8.0 / 1e9 / seconds.max(1) as f64,
            links: alarms,
            damaged: ends(|ending| matches!(ending, Some(Ending::Damaged(_)))),
            broken: ends(|ending| matches!(ending, None | Some(Ending::Broken(_))))
                + connects(|outcome| matches!(outcome, Outcome::Broken(_))),
            connects: finished.attempts.len(),
            failed_connects: connects(|outcome| matches!(outcome, Outcome::Failed { .. })),
            leaks,
            pause_ms: millis(longest_pause(&finished.beats)),
        })
    }
}

fn longest_pause(beats: &[Instant]) -> Duration {
    let pauses = beats.windows(2).map(|pair| pair[1] - pair[0]);
    pauses.max().unwrap_or_default()
}

/// Proves that an alarm would have been seen: freezes an agent and waits until its neighbours have
/// logged it.
async fn prove_alarms(agents: &Agents) -> anyhow::Result<()> {
    let before = log_lengths(agents)?;
    let _stopped = agents.victim(Node::TransitA as usize)?.stop()?;
    let started = Instant::now();
    loop {
        let seen = alarms(agents, &before)?;
        if seen
            .iter()
            .any(|link| link.suspicions > 0 && link.downs > 0)
        {
            return Ok(());
        }
        ensure!(
            started.elapsed() < ALARM_LIMIT,
            "the logs do not tell of a frozen agent, so false alarms would not show: {seen:?}"
        );
        tokio::time::sleep(POLL).await;
    }
}

fn log_lengths(agents: &Agents) -> anyhow::Result<BTreeMap<Node, usize>> {
    let lengths = Node::ALL.into_iter().map(|node| {
        let log = agents.log(node as usize)?;
        let length = fs::metadata(log).with_context(|| format!("cannot read {}", log.display()))?;
        Ok((node, usize::try_from(length.len())?))
    });
    lengths.collect()
}

/// What the agents have logged about each link since `from`.
fn alarms(agents: &Agents, from: &BTreeMap<Node, usize>) -> anyhow::Result<Vec<Alarms>> {
    let mut heard = Vec::new();
    for (&node, &from) in from {
        let log = agents.log(node as usize)?;
        let text = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
        let text = String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned();
        for (neighbor, alarm) in text.lines().filter_map(parse) {
            let neighbor = agents.find(&neighbor).map(|agent| Node::ALL[agent]);
            let neighbor = neighbor.context("an agent tells of a link with a stranger")?;
            heard.push((node, neighbor, alarm));
        }
    }
    let count = |(one, other), wanted| {
        let about = |(a, b, alarm): &&(Node, Node, Alarm)| {
            *alarm == wanted && [(one, other), (other, one)].contains(&(*a, *b))
        };
        heard.iter().filter(about).count()
    };
    let links = LINKS.into_iter().map(|(one, other)| Alarms {
        link: format!("{} – {}", one.name(), other.name()),
        suspicions: count((one, other), Alarm::Suspicion),
        downs: count((one, other), Alarm::Down),
    });
    Ok(links.collect())
}

/// A log line as JSON: the neighbour, and what is said of the link with it.
fn parse(line: &str) -> Option<(Value, Alarm)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    let alarm = match fields["message"].as_str()? {
        "link suspicion" if fields["suspect"] == true => Alarm::Suspicion,
        "link down" => Alarm::Down,
        _ => return None,
    };
    Some((fields["neighbor"].clone(), alarm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_read_from_the_log() {
        let line = |fields: &str| format!(r#"{{"level":"DEBUG","fields":{{{fields}}}}}"#);
        let suspicion = line(r#""message":"link suspicion","neighbor":"ab","suspect":true"#);
        assert_eq!(parse(&suspicion), Some(("ab".into(), Alarm::Suspicion)));
        let cleared = line(r#""message":"link suspicion","neighbor":"ab","suspect":false"#);
        assert_eq!(parse(&cleared), None);
        let down = line(r#""message":"link down","neighbor":"ab","reason":"silent""#);
        assert_eq!(parse(&down), Some(("ab".into(), Alarm::Down)));
        assert_eq!(parse("not JSON"), None);
    }

    #[test]
    fn the_worst_link_counts() {
        let alarms = |suspicions, downs| Alarms {
            link: String::new(),
            suspicions,
            downs,
        };
        let quiet = Quiet {
            heartbeat: "default".to_owned(),
            seconds: 120,
            downloads: 1,
            uploads: 1,
            gbit_per_second: 1.0,
            links: vec![alarms(1, 1), alarms(4, 2)],
            damaged: 0,
            broken: 0,
            connects: 0,
            failed_connects: 0,
            leaks: Leaks::default(),
            pause_ms: 0.0,
        };
        assert_eq!(quiet.worst_suspicions_per_minute(), 2.0);
        assert_eq!(quiet.downs(), 3);
    }
}

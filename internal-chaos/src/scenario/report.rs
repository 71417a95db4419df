//! A run's result as text and as JSON.

use serde::Serialize;

use super::finding::Finding;
use super::judge::judge;
use super::model::Scenario;
use super::record::{Attempt, Flow, Outcome, Record};

/// A finished run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub scenario: String,
    pub summary: String,
    pub seed: u64,
    /// What the binary says that it is.
    pub version: String,
    /// The command that runs it again.
    pub replay: String,
    pub holds: bool,
    pub findings: Vec<Finding>,
    pub record: Record,
}

/// Something that happened, for a list in the order of time.
pub(super) struct Moment {
    pub(super) at_ms: u128,
    pub(super) who: String,
    pub(super) what: String,
}

/// Moments of a text report; the page and the JSON have all.
const MOST_MOMENTS: usize = 40;

impl Report {
    /// Judges what was seen.
    pub fn new(
        scenario: &Scenario,
        seed: u64,
        version: String,
        replay: String,
        record: Record,
    ) -> Self {
        let findings = judge(scenario, &record);
        Self {
            scenario: scenario.name.clone(),
            summary: scenario.summary.clone(),
            seed,
            version,
            replay,
            holds: findings.iter().all(|finding| finding.holds),
            findings,
            record,
        }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let verdict = if self.holds { "holds" } else { "BROKEN" };
        let mut out = format!("{}: {verdict}\n  {}\n", self.scenario, self.summary);
        let moments = self.moments();
        for moment in moments.iter().take(MOST_MOMENTS) {
            let Moment { at_ms, who, what } = moment;
            out.push_str(&format!("  {at_ms:>6} ms  {who}: {what}\n"));
        }
        if moments.len() > MOST_MOMENTS {
            let more = moments.len() - MOST_MOMENTS;
            out.push_str(&format!("  … and {more} more, in --json and --html\n"));
        }
        out.extend(self.findings.iter().map(Finding::line));
        out.push_str(&format!(
            "  {}, machine paused {} ms at the longest; again: {}\n",
            self.sums(),
            self.record.pause.as_millis(),
            self.replay
        ));
        out
    }

    /// The load on one line.
    pub(super) fn sums(&self) -> String {
        let record = &self.record;
        let stall = record.flows.iter().map(Flow::stall).max();
        let echoed = |attempt: &&Attempt| attempt.outcome == Outcome::Echoed;
        let echoed = record.attempts.iter().filter(echoed);
        let wait = echoed.map(Attempt::wait).max();
        let formed = format!("formed in {} ms", record.formed.as_millis());
        let mut parts = vec![formed, format!("{} bytes checked", record.bytes())];
        for work in ["download", "upload"] {
            if let Some(mbit) = record.mbit(work) {
                parts.push(format!("{work} {mbit:.1} Mbit/s"));
            }
        }
        if let Some(stall) = stall {
            parts.push(format!("longest stall {} ms", stall.as_millis()));
        }
        if let Some(wait) = wait {
            parts.push(format!("longest wait {} ms", wait.as_millis()));
        }
        parts.join(", ")
    }

    /// Faults, what agents told, reasons and paths, by time.
    pub(super) fn moments(&self) -> Vec<Moment> {
        let record = &self.record;
        let mut moments = Vec::new();
        let mut add = |at: std::time::Duration, who: &str, what: String| {
            moments.push(Moment {
                at_ms: at.as_millis(),
                who: who.to_owned(),
                what,
            });
        };
        for fault in &record.faults {
            add(fault.at, "fault", fault.fault.clone());
            if let Some(until) = fault.until {
                add(until, "fault", format!("end of: {}", fault.fault));
            }
        }
        for event in &record.events {
            let kind = event.kind.replace('_', " ");
            add(event.at, &event.agent, format!("{kind}: {}", event.text));
        }
        for reason in &record.reasons {
            add(reason.at, &reason.agent, reason.reason.clone());
        }
        for seen in &record.paths {
            add(seen.at, "path", seen.path.join(" > "));
        }
        moments.sort_by_key(|moment| moment.at_ms);
        moments
    }
}

/// One line for each run, and the sum.
pub fn overview(reports: &[Report], failures: &[(String, String)]) -> String {
    let mut out = String::new();
    for report in reports {
        let mark = if report.holds { "ok    " } else { "BROKEN" };
        out.push_str(&format!("{mark} {}: {}\n", report.scenario, report.sums()));
    }
    for (name, error) in failures {
        out.push_str(&format!("FAILED {name}: {error}\n"));
    }
    let broken = reports.iter().filter(|report| !report.holds).count();
    out.push_str(&format!(
        "{} of {} hold, {broken} broken, {} could not be run\n",
        reports.len() - broken,
        reports.len() + failures.len(),
        failures.len()
    ));
    out
}

//! Whether a soak holds, as text and as JSON: pure.

use serde::Serialize;

use super::super::finding::{Finding, finding, quote};
use super::excuse::STANDSTILL;
use super::growth::{LEAST_STATES, Measure, Trend, WARM_UP, trends};
use super::record::{Cycle, Record};
use crate::table;

/// A finished soak.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub scenario: String,
    pub seed: u64,
    /// What the binary says that it is.
    pub version: String,
    /// The command that runs it again.
    pub replay: String,
    pub holds: bool,
    pub findings: Vec<Finding>,
    pub trends: Vec<Trend>,
    pub record: Record,
}

/// What holds whatever the faults are. That nothing grows is judged by [`grown`].
pub fn judge(record: &Record) -> Vec<Finding> {
    let all = |of: fn(&Cycle) -> &[String]| {
        let cycles = record.cycles.iter();
        let told = cycles.flat_map(move |cycle| {
            let number = cycle.number;
            of(cycle)
                .iter()
                .map(move |it| format!("cycle {number}: {it}"))
        });
        told.collect::<Vec<_>>()
    };
    let idle = record.cycles.iter().find(|cycle| cycle.bytes == 0);
    let mut damaged = all(|cycle| &cycle.damaged);
    damaged.extend(idle.map(|cycle| format!("cycle {}: nothing arrived", cycle.number)));
    if record.cycles.is_empty() {
        damaged.push("no cycle was finished".to_owned());
    }
    let count = |of: fn(&Cycle) -> u64| record.cycles.iter().map(of).sum::<u64>();
    let leaks = &record.origins.leaks;
    vec![
        unless(
            &damaged,
            "bytes exact",
            "every byte, in order, once",
            format!("{} bytes checked", count(|cycle| cycle.bytes)),
        ),
        unless(
            leaks,
            "nothing past the mesh",
            "connections from exits only",
            format!("{} connections from exits", record.origins.exits),
        ),
        unless(
            &all(|cycle| &cycle.unprovoked),
            "no open connection broke unprovoked",
            "none while there is a way to every exit",
            format!(
                "{} broke, all provoked; the machine stood still in {} of {} cycles",
                count(|cycle| cycle.broken),
                count(|cycle| u64::from(cycle.pause >= STANDSTILL)),
                record.cycles.len()
            ),
        ),
        unless(
            &record.deaths,
            "no agent ended by itself",
            "none",
            "none did".to_owned(),
        ),
        unless(
            &all(|cycle| &cycle.lost),
            "whole again after every cycle",
            "every link, every exit, new connections",
            format!("{} of {}", record.cycles.len(), record.cycles.len()),
        ),
    ]
}

/// Whether nothing grows: a line for each life and measure that does, and one for all others.
pub fn grown(trends: &[Trend]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = trends
        .iter()
        .filter(|trend| trend.grows)
        .map(|trend| {
            let show = |value| trend.measure.show(value);
            let Trend {
                first,
                middle,
                last,
                ..
            } = *trend;
            let (measure, agent, pid) = (trend.measure.name(), &trend.agent, trend.pid);
            let invariant = format!("{measure} of {agent} (process {pid})");
            let wanted = format!("at most {} more", show(trend.allowance));
            let seen = format!(
                "grew by {}: {}, then {}, then {} over {} quiet states",
                show(last - first),
                show(first),
                show(middle),
                show(last),
                trend.states
            );
            finding(&invariant, false, wanted, seen)
        })
        .collect();
    let lives = trends.len() / Measure::ALL.len();
    let holds = lives > 0 && findings.is_empty();
    let wanted = format!(
        "memory, descriptors, tasks and streams of every life of {} quiet states",
        WARM_UP + LEAST_STATES
    );
    let seen = match lives {
        0 => "no life was long enough; give it more minutes".to_owned(),
        lives => format!("{lives} lives judged"),
    };
    findings.push(finding("nothing grows", holds, wanted, seen));
    findings
}

fn unless(wrong: &[String], invariant: &str, wanted: &str, good: String) -> Finding {
    let seen = match wrong.len() {
        0 => good,
        count => format!("{count} wrong: {}", quote(wrong.iter().map(String::as_str))),
    };
    finding(invariant, wrong.is_empty(), wanted, seen)
}

impl Report {
    pub fn new(scenario: &str, seed: u64, version: String, replay: String, record: Record) -> Self {
        let trends = trends(&record.samples);
        let mut findings = judge(&record);
        findings.extend(grown(&trends));
        Self {
            scenario: scenario.to_owned(),
            seed,
            version,
            replay,
            holds: findings.iter().all(|finding| finding.holds),
            findings,
            trends,
            record,
        }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let verdict = if self.holds { "holds" } else { "BROKEN" };
        let mut out = format!("{}: {verdict}\n  {}\n", self.scenario, self.sums());
        out.push_str(&table::text_left(&self.rows()));
        out.extend(self.findings.iter().map(Finding::line));
        out.push_str(&format!("  again: {}\n", self.replay));
        out
    }

    fn sums(&self) -> String {
        let cycles = &self.record.cycles;
        let sum = |of: fn(&Cycle) -> u64| cycles.iter().map(of).sum::<u64>();
        format!(
            "{} cycles in {} s, {} faults, {:.1} MB checked, {} connections: {} failed, {} broken",
            cycles.len(),
            self.record.length.as_secs(),
            sum(|cycle| cycle.faults.len() as u64),
            sum(|cycle| cycle.bytes) as f64 / 1e6,
            sum(|cycle| cycle.tried),
            sum(|cycle| cycle.failed),
            sum(|cycle| cycle.broken),
        )
    }

    /// A row for each life that was judged: first third, middle, last.
    fn rows(&self) -> Vec<Vec<String>> {
        let head = ["  AGENT", "PROCESS", "QUIET STATES"].map(str::to_owned);
        let names = Measure::ALL.map(|measure| measure.name().to_uppercase());
        let mut rows = vec![head.into_iter().chain(names).collect::<Vec<_>>()];
        for life in self.trends.chunk_by(|one, next| one.pid == next.pid) {
            let Some(any) = life.first() else { continue };
            let mut row = vec![
                format!("  {}", any.agent),
                any.pid.to_string(),
                any.states.to_string(),
            ];
            row.extend(Measure::ALL.map(|measure| {
                let trend = life.iter().find(|trend| trend.measure == measure);
                trend.map_or_else(String::new, |trend| {
                    let show = |value| measure.show(value);
                    let mark = if trend.grows { " GROWS" } else { "" };
                    format!(
                        "{} > {} > {}{mark}",
                        show(trend.first),
                        show(trend.middle),
                        show(trend.last)
                    )
                })
            }));
            rows.push(row);
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sample::{Phase, Sample, Size};
    use super::*;

    fn cycle(number: usize) -> Cycle {
        Cycle {
            number,
            bytes: 1_000,
            tried: 10,
            failed: 1,
            ..Cycle::default()
        }
    }

    /// Ten cycles in which the tasks of the one agent grow by `growth` in each.
    fn record(growth: u64) -> Record {
        let sample = |cycle: usize| Sample {
            at: Duration::from_secs(cycle as u64),
            cycle,
            phase: Phase::Quiet,
            agent: "exit-a".to_owned(),
            pid: 7,
            size: Size {
                tasks: Some(40 + cycle as u64 * growth),
                streams: Some(0),
                ..Size::default()
            },
        };
        Record {
            cycles: (1..=10).map(cycle).collect(),
            samples: (1..=10).map(sample).collect(),
            ..Record::default()
        }
    }

    fn report(record: Record) -> Report {
        Report::new(
            "soak",
            1,
            String::new(),
            "internal-chaos soak".to_owned(),
            record,
        )
    }

    fn broken(record: Record) -> Vec<String> {
        let findings = report(record).findings.into_iter();
        let broken = findings.filter(|finding| !finding.holds);
        broken
            .map(|finding| format!("{}: {}", finding.invariant, finding.seen))
            .collect()
    }

    #[test]
    fn what_is_well_holds() {
        assert_eq!(broken(record(0)), [""; 0]);
        let text = report(record(0)).text();
        assert!(
            text.starts_with("soak: holds\n  10 cycles in 0 s, 0 faults"),
            "{text}"
        );
        assert!(text.contains("40 > 40 > 40"), "{text}");
    }

    #[test]
    fn what_grows_is_told_with_agent_and_amount() {
        let told = broken(record(5));
        assert_eq!(
            told[0],
            "tasks of exit-a (process 7): grew by 30: 57.5, then 72.5, then 87.5 over 8 quiet states"
        );
        assert!(report(record(5)).text().contains("GROWS"));
    }

    #[test]
    fn each_invariant_can_be_broken() {
        let mut damaged = record(0);
        damaged.cycles[3].damaged = vec!["upload 1: byte 7".to_owned()];
        assert_eq!(
            broken(damaged),
            ["bytes exact: 1 wrong: cycle 4: upload 1: byte 7"]
        );
        let mut idle = record(0);
        idle.cycles[0].bytes = 0;
        assert_eq!(
            broken(idle),
            ["bytes exact: 1 wrong: cycle 1: nothing arrived"]
        );
        let mut broken_one = record(0);
        broken_one.cycles[1].unprovoked = vec!["download 1 at 7 ms: reset".to_owned()];
        assert_eq!(
            broken(broken_one),
            ["no open connection broke unprovoked: 1 wrong: cycle 2: download 1 at 7 ms: reset"]
        );
        let mut lost = record(0);
        lost.cycles[9].lost = vec!["the mesh is not whole".to_owned()];
        assert_eq!(
            broken(lost),
            ["whole again after every cycle: 1 wrong: cycle 10: the mesh is not whole"]
        );
        let mut dead = record(0);
        dead.deaths = vec!["exit-a ended".to_owned()];
        assert_eq!(
            broken(dead),
            ["no agent ended by itself: 1 wrong: exit-a ended"]
        );
        let mut leak = record(0);
        leak.origins.leaks = vec!["ingress".to_owned()];
        assert_eq!(broken(leak), ["nothing past the mesh: 1 wrong: ingress"]);
    }

    #[test]
    fn a_soak_too_short_to_judge_does_not_hold() {
        let mut short = record(0);
        short.samples.truncate(5);
        assert_eq!(
            broken(short),
            ["nothing grows: no life was long enough; give it more minutes"]
        );
    }
}

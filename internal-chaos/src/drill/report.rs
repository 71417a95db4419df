//! A drill's result as aligned text, as Markdown and as JSON.

use serde_json::{Value, json};

use super::cells::{Cell, Spread, cells};
use super::goals::judge;
use super::quiet::Quiet;
use super::repeat::Repeat;
use crate::machine::Machine;
use crate::report::{NOTHING, Report, Titled, closing, heading, to_value};

/// A finished drill.
#[derive(Debug)]
pub struct Run {
    pub machine: Machine,
    /// What the binary says that it is.
    pub version: String,
    pub seed: u64,
    /// Bytes per second of each direction; `None` is as much as goes.
    pub rate: Option<u64>,
    pub repeats: Vec<Repeat>,
    pub quiet: Vec<Quiet>,
    /// What failed.
    pub notes: Vec<String>,
}

const HEAD: [&str; 13] = [
    "fault",
    "repeats",
    "damaged",
    "broken",
    "stall p50",
    "p99",
    "longest",
    "failed new",
    "longest wait",
    "longest without",
    "leaks",
    "machine pause",
    "CPU wait",
];

impl Run {
    /// For people: a terminal, or `docs/failover.md`.
    pub fn report(&self) -> Report {
        let cells = cells(&self.repeats);
        let rate = match self.rate {
            Some(rate) => format!("{} MB/s each way, all transfers together", rate / 1_000_000),
            None => "transfers as fast as they go".to_owned(),
        };
        let run = format!("{}, seed {}, {rate}; times in ms", self.version, self.seed);
        let ends = cells.iter().filter_map(ended);
        let verdicts = judge(&cells, &self.quiet);
        Report {
            heading: heading(&self.machine, run, &[]),
            closing: ends.chain(closing(&verdicts, &self.notes)).collect(),
            tables: self.tables(cells),
        }
    }

    /// For programs; keys are stable.
    pub fn json(&self) -> Value {
        let cells = cells(&self.repeats);
        json!({
            "machine": to_value(&self.machine),
            "version": self.version,
            "seed": self.seed,
            "bytes_per_second": self.rate,
            "cells": to_value(&cells),
            "quiet": to_value(&self.quiet),
            "verdicts": to_value(&judge(&cells, &self.quiet)),
            "repeats": to_value(&self.repeats),
            "notes": self.notes,
        })
    }

    /// Whether something happened that must never happen, or could not be measured.
    pub fn is_wrong(&self) -> bool {
        !self.notes.is_empty()
            || cells(&self.repeats).iter().any(Cell::is_wrong)
            || self.quiet.iter().any(Quiet::is_wrong)
    }

    /// A table for each load and heartbeat, and one of the time without faults.
    fn tables(&self, cells: Vec<Cell>) -> Vec<Titled> {
        let mut tables: Vec<Titled> = Vec::new();
        for cell in cells {
            let title = title(&cell.heartbeat, cell.downloads, cell.uploads);
            if tables.last().is_none_or(|(last, _)| *last != title) {
                tables.push((title, vec![HEAD.map(str::to_owned).to_vec()]));
            }
            if let Some((_, rows)) = tables.last_mut() {
                rows.push(row(&cell));
            }
        }
        tables.extend(self.quiet.iter().map(quiet_table));
        tables
    }
}

fn title(heartbeat: &str, downloads: u32, uploads: u32) -> String {
    let count = |number: u32, what: &str| match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    };
    format!(
        "heartbeat {heartbeat}, {} and {}",
        count(downloads, "download"),
        count(uploads, "upload")
    )
}

fn row(cell: &Cell) -> Vec<String> {
    let stall = |figure: fn(Spread) -> f64| {
        let figure = cell.stall_ms.map(figure);
        figure.map_or_else(|| NOTHING.to_owned(), |ms| format!("{ms:.0}"))
    };
    let longest = |spread: Option<Spread>| {
        spread.map_or_else(|| NOTHING.to_owned(), |spread| format!("{:.0}", spread.max))
    };
    vec![
        cell.fault.to_string(),
        cell.repeats.to_string(),
        cell.damaged.to_string(),
        cell.broken.to_string(),
        stall(|spread| spread.p50),
        stall(|spread| spread.p99),
        stall(|spread| spread.max),
        format!("{} of {}", cell.failed_connects, cell.connects),
        longest(cell.longest_wait_ms),
        longest(cell.longest_without_ms),
        cell.leaks.to_string(),
        longest(cell.pause_ms),
        format!("{} %", longest(cell.waited_percent)),
    ]
}

/// What became of connections that ended early.
fn ended(cell: &Cell) -> Option<String> {
    let Spread { p50, max, .. } = cell.ended_after_ms?;
    Some(format!(
        "{}, {}: transfers ended {p50:.0} ms after the fault (median), {max:.0} ms at the latest",
        title(&cell.heartbeat, cell.downloads, cell.uploads),
        cell.fault
    ))
}

fn quiet_table(quiet: &Quiet) -> Titled {
    let title = format!(
        "no fault for {} s, {} at {:.2} Gbit/s, {} of {} new connections failed, {} broken, {} damaged, {} leaks, machine paused {:.0} ms",
        quiet.seconds,
        title(&quiet.heartbeat, quiet.downloads, quiet.uploads),
        quiet.gbit_per_second,
        quiet.failed_connects,
        quiet.connects,
        quiet.broken,
        quiet.damaged,
        quiet.leaks.total(),
        quiet.pause_ms,
    );
    let mut rows = vec![
        ["link", "false suspicions", "false downs"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(quiet.links.iter().map(|link| {
        vec![
            link.link.clone(),
            link.suspicions.to_string(),
            link.downs.to_string(),
        ]
    }));
    (title, rows)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::connects::Connects;
    use super::super::fault::Fault;
    use super::super::leak::Leaks;
    use super::super::repeat::{End, Seen};
    use super::*;

    fn repeat(fault: Fault, stall_ms: Option<f64>, end: End) -> Repeat {
        Repeat {
            fault,
            heartbeat: "default".to_owned(),
            downloads: 1,
            uploads: 0,
            seed: 1,
            struck_at: Instant::now(),
            victim: "transit-a",
            path_before: vec!["transit-a", "exit-a"],
            path_after: None,
            transfers: vec![Seen {
                direction: "download",
                bytes: 1_000,
                stall_ms,
                stall_begun_ms: stall_ms.map(|_| 3.0),
                end,
                detail: None,
                ended_after_ms: stall_ms.is_none().then_some(321.0),
                arrivals: Vec::new(),
            }],
            connects: Connects {
                attempts: 130,
                failed: 0,
                broken: 0,
                longest_wait_ms: 290.0,
                longest_without_ms: 270.0,
                first_error: None,
            },
            leaks: Leaks::default(),
            pause_ms: 2.0,
            waited_percent: 5.0,
            started_ms: None,
            healed_ms: 1_300.0,
        }
    }

    fn run(repeats: Vec<Repeat>) -> Run {
        Run {
            machine: Machine::example("internal-chaos drill"),
            version: "warren 0.0.0".to_owned(),
            seed: 1,
            rate: Some(20_000_000),
            repeats,
            quiet: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_row_per_fault_with_the_spread_of_all_transfers() {
        let stalls = [100.0, 300.0, 200.0];
        let repeats = stalls.map(|ms| repeat(Fault::TransitKill, Some(ms), End::Complete));
        let run = run(repeats.to_vec());
        let text = run.report().text();
        let rows: Vec<&str> = text.lines().skip(5).take(3).collect();
        let words = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            words(rows[2]),
            "transit-kill 3 0 0 200 300 300 0 of 390 290 270 0 2 5 %"
        );
        assert!(text.contains("heartbeat default, 1 download and 0 uploads"));
        assert!(text.contains("met: default settings: stall at a silent fault, median (worst: transit-kill, 1+0): 200.00 ms"));
        assert!(!run.is_wrong());
    }

    #[test]
    fn broken_connections_are_wrong_unless_their_exit_died() {
        let path = run(vec![repeat(Fault::LinkCut, None, End::Broken)]);
        assert!(path.is_wrong());
        let exit = run(vec![repeat(Fault::ExitKill, None, End::Broken)]);
        assert!(!exit.is_wrong());
        assert!(
            exit.report()
                .markdown()
                .contains("exit-kill: transfers ended 321 ms after the fault (median)")
        );
        let damaged = run(vec![repeat(Fault::ExitKill, None, End::Damaged)]);
        assert!(damaged.is_wrong());
    }

    #[test]
    fn json_keeps_every_repeat() {
        let json = run(vec![repeat(Fault::LinkCut, Some(150.0), End::Complete)]).json();
        assert_eq!(json["repeats"][0]["fault"], "link-cut");
        assert_eq!(json["repeats"][0]["transfers"][0]["stall_ms"], 150.0);
        assert_eq!(json["cells"][0]["stall_ms"]["p99"], 150.0);
        assert_eq!(json["verdicts"][0]["outcome"], "met");
    }
}

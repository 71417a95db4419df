//! A run's result as aligned text, as Markdown and as JSON.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::figures::{Figure, Figures};
use super::system::System;
use super::verdict::judge;
use crate::machine::Machine;
use crate::stats::Summary;
use crate::table;
use crate::verdict::Verdict;

/// A finished run.
#[derive(Debug)]
pub struct Run {
    pub machine: Machine,
    pub repeats: u32,
    pub seconds: u32,
    pub idle: u32,
    pub systems: Vec<System>,
    /// What the systems say that they are.
    pub versions: Vec<String>,
    pub figures: Figures,
    /// What was skipped or failed.
    pub notes: Vec<String>,
}

/// A cell of a system without the figure.
const NOTHING: &str = "–";

impl Run {
    /// For a terminal.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for line in self.heading() {
            out.push_str(&line);
            out.push('\n');
        }
        out.push('\n');
        out.push_str(&table::text(&self.table()));
        out.push('\n');
        for line in self.closing() {
            out.push_str(&line);
            out.push('\n');
        }
        out
    }

    /// For `docs/benchmarks.md`.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for line in self.heading() {
            out.push_str(&format!("- {line}\n"));
        }
        out.push('\n');
        out.push_str(&table::markdown(&self.table()));
        out.push('\n');
        for line in self.closing() {
            out.push_str(&format!("- {line}\n"));
        }
        out
    }

    /// For programs; keys are stable.
    pub fn json(&self) -> Value {
        let mut systems = Map::new();
        for &system in &self.systems {
            let figures: Map<String, Value> = Figure::all()
                .into_iter()
                .filter_map(|figure| {
                    let summary = self.figures.summary(system, figure)?;
                    Some((figure.key(), to_value(&summary)))
                })
                .collect();
            systems.insert(system.to_string(), Value::Object(figures));
        }
        let verdicts: Vec<Value> = judge(&self.figures).iter().map(to_value).collect();
        json!({
            "machine": to_value(&self.machine),
            "repeats": self.repeats,
            "seconds": self.seconds,
            "idle_connections": self.idle,
            "versions": self.versions,
            "systems": systems,
            "verdicts": verdicts,
            "notes": self.notes,
        })
    }

    fn heading(&self) -> Vec<String> {
        let mut lines = self.machine.heading();
        lines.push(format!(
            "{} rounds interleaved, loads of {} s, veth at MTU {}; median (min–max)",
            self.repeats,
            self.seconds,
            crate::wiring::MTU
        ));
        lines.extend(self.versions.iter().cloned());
        lines
    }

    /// Rows of cells: the head, then every figure that some system has.
    fn table(&self) -> Vec<Vec<String>> {
        let mut head = vec![String::new()];
        head.extend(self.systems.iter().map(ToString::to_string));
        let mut rows = vec![head];
        for figure in Figure::all() {
            let summaries: Vec<Option<Summary>> = self
                .systems
                .iter()
                .map(|&system| self.figures.summary(system, figure))
                .collect();
            if summaries.iter().all(Option::is_none) {
                continue;
            }
            let mut row = vec![figure.label(self.idle)];
            row.extend(
                summaries
                    .iter()
                    .map(|summary| cell(summary.as_ref(), figure)),
            );
            rows.push(row);
        }
        rows
    }

    fn closing(&self) -> Vec<String> {
        let verdicts = judge(&self.figures);
        let mut lines: Vec<String> = verdicts.iter().map(Verdict::to_string).collect();
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines
    }
}

fn cell(summary: Option<&Summary>, figure: Figure) -> String {
    let digits = figure.decimals();
    summary.map_or_else(
        || NOTHING.to_owned(),
        |Summary {
             median, min, max, ..
         }| { format!("{median:.digits$} ({min:.digits$}–{max:.digits$})") },
    )
}

fn to_value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("reports hold only strings, numbers and lists")
}

#[cfg(test)]
mod tests {
    use super::super::system::Role;
    use super::*;

    fn run() -> Run {
        let mut figures = Figures::default();
        for value in [2.0, 1.5, 1.75] {
            figures.record(System::OpenSsh, Figure::ThroughputOne, value);
        }
        figures.record(System::OpenSsh, Figure::CpuOne(Role::Transit), 1.25);
        figures.record(System::Kernel, Figure::ThroughputOne, 20.0);
        Run {
            machine: Machine {
                cpu: "A CPU".to_owned(),
                cores: 2,
                memory_mib: 1024,
                kernel: "6.0".to_owned(),
                load_before: "0.10".to_owned(),
                date: "2026-01-01T00:00:00Z".to_owned(),
                command: "internal-chaos bench".to_owned(),
            },
            repeats: 3,
            seconds: 5,
            idle: 2_000,
            systems: vec![System::Kernel, System::OpenSsh],
            versions: Vec::new(),
            figures,
            notes: vec!["warren is not here".to_owned()],
        }
    }

    #[test]
    fn text_is_aligned_with_costs_first() {
        let text = run().text();
        let rows: Vec<&str> = text.lines().skip(5).take(3).collect();
        assert_eq!(
            rows,
            [
                "                                                   kernel           openssh",
                "CPU s/GB, each transit, 1 connection                    –  1.25 (1.25–1.25)",
                "Gbit/s, 1 connection                  20.00 (20.00–20.00)  1.75 (1.50–2.00)",
            ]
        );
        assert!(text.contains("not measured: one transit"));
        assert!(text.ends_with("note: warren is not here\n"));
    }

    #[test]
    fn markdown_is_a_table() {
        let text = run().markdown();
        assert!(text.contains("|  | kernel | openssh |\n|---|---:|---:|\n| CPU s/GB"));
    }

    #[test]
    fn json_keeps_every_sample() {
        let json = run().json();
        let figure = &json["systems"]["openssh"]["gbit_per_s_1"];
        assert_eq!(figure["median"], 1.75);
        assert_eq!(figure["samples"], json!([2.0, 1.5, 1.75]));
        assert_eq!(json["verdicts"][0]["outcome"], "not_measured");
    }
}

//! A run's result as aligned text, as Markdown and as JSON.

use serde_json::{Map, Value, json};

use super::figures::{Figure, Figures};
use super::system::System;
use super::verdict::judge;
use crate::machine::Machine;
use crate::report::{NOTHING, Report, closing, heading, to_value};
use crate::stats::Summary;

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

impl Run {
    /// For people: a terminal, or `docs/benchmarks.md`.
    pub fn report(&self) -> Report {
        let run = format!(
            "{} rounds interleaved, loads of {} s, veth at MTU {}; median (min–max)",
            self.repeats,
            self.seconds,
            crate::wiring::MTU
        );
        Report {
            heading: heading(&self.machine, run, &self.versions),
            tables: vec![(String::new(), self.table())],
            closing: closing(&judge(&self.figures), &self.notes),
        }
    }

    /// For programs; keys are stable.
    pub fn json(&self) -> Value {
        let mut systems = Map::new();
        for &system in &self.systems {
            let figures: Map<String, Value> = Figure::all()
                .into_iter()
                .filter_map(|figure| {
                    let summary = self.figures.summary(system, figure)?;
                    Some((figure.describe(self.idle).0, to_value(&summary)))
                })
                .collect();
            systems.insert(system.to_string(), Value::Object(figures));
        }
        json!({
            "machine": to_value(&self.machine),
            "repeats": self.repeats,
            "seconds": self.seconds,
            "idle_connections": self.idle,
            "versions": self.versions,
            "systems": systems,
            "verdicts": to_value(&judge(&self.figures)),
            "notes": self.notes,
        })
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
            let (_, title, digits) = figure.describe(self.idle);
            let mut row = vec![title];
            row.extend(
                summaries
                    .iter()
                    .map(|summary| cell(summary.as_ref(), digits)),
            );
            rows.push(row);
        }
        rows
    }
}

fn cell(summary: Option<&Summary>, digits: usize) -> String {
    let Some(Summary {
        median, min, max, ..
    }) = summary
    else {
        return NOTHING.to_owned();
    };
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Load, Payer};
    use super::super::system::Role;
    use super::*;

    fn run() -> Run {
        let mut figures = Figures::default();
        for value in [2.0, 1.5, 1.75] {
            figures.record(System::OpenSsh, Figure::Throughput(Load::One), value);
        }
        figures.record(
            System::OpenSsh,
            Figure::Cpu(Load::One, Payer::Role(Role::Transit)),
            1.25,
        );
        figures.record(System::Kernel, Figure::Throughput(Load::One), 20.0);
        Run {
            machine: Machine::example("internal-chaos bench"),
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
        let text = run().report().text();
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
        let text = run().report().markdown();
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

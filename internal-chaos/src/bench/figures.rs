//! The figures of a run: which there are, and what was measured.

use std::collections::BTreeMap;

use super::system::{Role, System};
use crate::stats::Summary;

/// A figure. The order is the table's: what an hour of traffic costs comes before how fast it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// CPU seconds per GB of downloads.
    Cpu(Load, Payer),
    /// Gbit/s of all downloads together.
    Throughput(Load),
    /// Longest silence of one of the 8, ms.
    GapEight,
    /// Connect and echo one byte, µs.
    EchoMedian,
    EchoTail,
    /// Connections a second, 64 at once.
    StormRate,
    StormFailed,
    /// Echo on an open connection while a download runs, ms.
    BusyEchoMedian,
    BusyEchoTail,
    /// Resident memory of a role, MiB, before and while idle connections are held, and KiB of each;
    /// all transits on average.
    Memory(Role, Held),
}

/// Downloads at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Load {
    One,
    Eight,
}

/// Whose CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payer {
    /// Each process of the role on its own, averaged.
    Role(Role),
    /// All processes of the system together.
    All,
    /// The whole machine: kernel, client and target included.
    Machine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    Before,
    Idle,
    Each,
}

impl Load {
    pub const ALL: [Self; 2] = [Self::One, Self::Eight];

    pub fn connections(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Eight => 8,
        }
    }
}

impl Figure {
    /// All figures, in order.
    pub fn all() -> Vec<Self> {
        let roles = || Role::ALL.into_iter();
        let payers = || roles().map(Payer::Role).chain([Payer::All, Payer::Machine]);
        let loads = Load::ALL.into_iter();
        let cpu = loads.flat_map(|load| payers().map(move |payer| Self::Cpu(load, payer)));
        let held = [Held::Before, Held::Idle, Held::Each];
        let memory = roles().flat_map(|role| held.map(|held| Self::Memory(role, held)));
        let rest = [
            Self::GapEight,
            Self::EchoMedian,
            Self::EchoTail,
            Self::StormRate,
            Self::StormFailed,
            Self::BusyEchoMedian,
            Self::BusyEchoTail,
        ];
        let all = cpu.chain(Load::ALL.map(Self::Throughput));
        all.chain(rest).chain(memory).collect()
    }

    /// The name in JSON, which is stable; the row's title with the unit; digits after the point in a
    /// table. `idle` connections are held for the memory figures.
    pub fn describe(self, idle: u32) -> (String, String, usize) {
        let (key, title, digits) = match self {
            Self::Cpu(load, payer) => {
                let (count, s) = (load.connections(), plural(load));
                let (key, who) = match payer {
                    Payer::Role(role) => (role.name(), each(role)),
                    Payer::All => ("sum", "all roles"),
                    Payer::Machine => ("machine", "whole machine"),
                };
                let title = format!("CPU s/GB, {who}, {count} connection{s}");
                return (format!("cpu_s_per_gb_{count}.{key}"), title, 2);
            }
            Self::Throughput(load) => {
                let (count, s) = (load.connections(), plural(load));
                let title = format!("Gbit/s, {count} connection{s}");
                return (format!("gbit_per_s_{count}"), title, 2);
            }
            Self::Memory(role, held) => {
                let (name, who) = (role.name(), each(role));
                return match held {
                    Held::Before => {
                        let title = format!("RSS MiB, {who}, before");
                        (format!("rss_mib_before.{name}"), title, 1)
                    }
                    Held::Idle => {
                        let title = format!("RSS MiB, {who}, {idle} idle");
                        (format!("rss_mib_idle.{name}"), title, 1)
                    }
                    Held::Each => {
                        let title = format!("KiB per idle, {who}");
                        (format!("rss_kib_per_idle.{name}"), title, 2)
                    }
                };
            }
            Self::GapEight => ("longest_gap_ms_8", "longest gap of one of 8, ms", 1),
            Self::EchoMedian => ("connect_echo_p50_us", "connect + echo p50, µs", 0),
            Self::EchoTail => ("connect_echo_p99_us", "connect + echo p99, µs", 0),
            Self::StormRate => ("connections_per_s_64", "connections/s, 64 at once", 0),
            Self::StormFailed => ("connections_failed_64", "of these failed", 0),
            Self::BusyEchoMedian => ("echo_under_bulk_p50_ms", "echo under bulk p50, ms", 2),
            Self::BusyEchoTail => ("echo_under_bulk_p99_ms", "echo under bulk p99, ms", 2),
        };
        (key.to_owned(), title.to_owned(), digits)
    }
}

fn plural(load: Load) -> &'static str {
    match load {
        Load::One => "",
        Load::Eight => "s",
    }
}

fn each(role: Role) -> &'static str {
    match role {
        Role::Ingress => "ingress",
        Role::Transit => "each transit",
        Role::Exit => "exit",
    }
}

/// Everything measured so far.
#[derive(Debug, Default)]
pub struct Figures {
    samples: BTreeMap<(System, Figure), Vec<f64>>,
}

impl Figures {
    pub fn record(&mut self, system: System, figure: Figure, value: f64) {
        self.samples
            .entry((system, figure))
            .or_default()
            .push(value);
    }

    /// Median and spread over the rounds; `None` if never measured.
    pub fn summary(&self, system: System, figure: Figure) -> Option<Summary> {
        Summary::of(self.samples.get(&(system, figure))?)
    }

    /// The median alone.
    pub fn median(&self, system: System, figure: Figure) -> Option<f64> {
        self.summary(system, figure).map(|summary| summary.median)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_and_labels_are_distinct_and_in_order() {
        let all = Figure::all();
        assert!(all.is_sorted_by_key(|figure| match figure {
            Figure::Memory(..) => 1,
            _ => 0,
        }));
        assert!(all.is_sorted(), "as the table has them");
        let keys: BTreeSet<String> = all.iter().map(|it| it.describe(5).0).collect();
        let labels: BTreeSet<String> = all.iter().map(|it| it.describe(5).1).collect();
        assert_eq!((keys.len(), labels.len()), (all.len(), all.len()));
    }
}

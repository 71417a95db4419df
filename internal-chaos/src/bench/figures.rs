//! The figures of a run: which there are, and what was measured.

use std::collections::BTreeMap;

use super::system::{Role, System};
use crate::stats::Summary;

/// A figure. The order is the table's: what an hour of traffic costs comes before how fast it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// CPU seconds per GB of one download; each transit on its own, averaged.
    CpuOne(Role),
    /// The same, all processes of the system together.
    CpuOneSum,
    /// The same, the whole machine: kernel, client and target included.
    CpuOneMachine,
    /// As above, with 8 downloads at once.
    CpuEight(Role),
    CpuEightSum,
    CpuEightMachine,
    /// Gbit/s of one download.
    ThroughputOne,
    /// Gbit/s of 8 downloads together.
    ThroughputEight,
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
    /// Resident memory of a role, MiB; all transits on average.
    MemoryBefore(Role),
    MemoryHeld(Role),
    /// KiB per idle connection.
    MemoryEach(Role),
}

impl Figure {
    /// All figures, in order.
    pub fn all() -> Vec<Self> {
        let mut all = Role::ALL.map(Self::CpuOne).to_vec();
        all.extend([Self::CpuOneSum, Self::CpuOneMachine]);
        all.extend(Role::ALL.map(Self::CpuEight));
        all.extend([
            Self::CpuEightSum,
            Self::CpuEightMachine,
            Self::ThroughputOne,
            Self::ThroughputEight,
            Self::GapEight,
            Self::EchoMedian,
            Self::EchoTail,
            Self::StormRate,
            Self::StormFailed,
            Self::BusyEchoMedian,
            Self::BusyEchoTail,
        ]);
        for role in Role::ALL {
            all.extend([
                Self::MemoryBefore(role),
                Self::MemoryHeld(role),
                Self::MemoryEach(role),
            ]);
        }
        all
    }

    /// The name in JSON; stable.
    pub fn key(self) -> String {
        match self {
            Self::CpuOne(role) => format!("cpu_s_per_gb_1.{}", role.name()),
            Self::CpuOneSum => "cpu_s_per_gb_1.sum".to_owned(),
            Self::CpuOneMachine => "cpu_s_per_gb_1.machine".to_owned(),
            Self::CpuEight(role) => format!("cpu_s_per_gb_8.{}", role.name()),
            Self::CpuEightSum => "cpu_s_per_gb_8.sum".to_owned(),
            Self::CpuEightMachine => "cpu_s_per_gb_8.machine".to_owned(),
            Self::ThroughputOne => "gbit_per_s_1".to_owned(),
            Self::ThroughputEight => "gbit_per_s_8".to_owned(),
            Self::GapEight => "longest_gap_ms_8".to_owned(),
            Self::EchoMedian => "connect_echo_p50_us".to_owned(),
            Self::EchoTail => "connect_echo_p99_us".to_owned(),
            Self::StormRate => "connections_per_s_64".to_owned(),
            Self::StormFailed => "connections_failed_64".to_owned(),
            Self::BusyEchoMedian => "echo_under_bulk_p50_ms".to_owned(),
            Self::BusyEchoTail => "echo_under_bulk_p99_ms".to_owned(),
            Self::MemoryBefore(role) => format!("rss_mib_before.{}", role.name()),
            Self::MemoryHeld(role) => format!("rss_mib_idle.{}", role.name()),
            Self::MemoryEach(role) => format!("rss_kib_per_idle.{}", role.name()),
        }
    }

    /// The row's title, with the unit; `idle` connections are held for the memory figures.
    pub fn label(self, idle: u32) -> String {
        let cpu = |what: &str, load: &str| format!("CPU s/GB, {what}, {load}");
        let (one, eight) = ("1 connection", "8 connections");
        match self {
            Self::CpuOne(role) => cpu(each(role), one),
            Self::CpuOneSum => cpu("all roles", one),
            Self::CpuOneMachine => cpu("whole machine", one),
            Self::CpuEight(role) => cpu(each(role), eight),
            Self::CpuEightSum => cpu("all roles", eight),
            Self::CpuEightMachine => cpu("whole machine", eight),
            Self::ThroughputOne => "Gbit/s, 1 connection".to_owned(),
            Self::ThroughputEight => "Gbit/s, 8 connections".to_owned(),
            Self::GapEight => "longest gap of one of 8, ms".to_owned(),
            Self::EchoMedian => "connect + echo p50, µs".to_owned(),
            Self::EchoTail => "connect + echo p99, µs".to_owned(),
            Self::StormRate => "connections/s, 64 at once".to_owned(),
            Self::StormFailed => "of these failed".to_owned(),
            Self::BusyEchoMedian => "echo under bulk p50, ms".to_owned(),
            Self::BusyEchoTail => "echo under bulk p99, ms".to_owned(),
            Self::MemoryBefore(role) => format!("RSS MiB, {}, before", each(role)),
            Self::MemoryHeld(role) => format!("RSS MiB, {}, {idle} idle", each(role)),
            Self::MemoryEach(role) => format!("KiB per idle, {}", each(role)),
        }
    }

    /// Digits after the point in a table.
    pub fn decimals(self) -> usize {
        match self {
            Self::CpuOne(_)
            | Self::CpuOneSum
            | Self::CpuOneMachine
            | Self::CpuEight(_)
            | Self::CpuEightSum
            | Self::CpuEightMachine
            | Self::ThroughputOne
            | Self::ThroughputEight
            | Self::BusyEchoMedian
            | Self::BusyEchoTail
            | Self::MemoryEach(_) => 2,
            Self::GapEight | Self::MemoryBefore(_) | Self::MemoryHeld(_) => 1,
            Self::EchoMedian | Self::EchoTail | Self::StormRate | Self::StormFailed => 0,
        }
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
            Figure::MemoryBefore(_) | Figure::MemoryHeld(_) | Figure::MemoryEach(_) => 1,
            _ => 0,
        }));
        let keys: BTreeSet<String> = all.iter().map(|figure| figure.key()).collect();
        let labels: BTreeSet<String> = all.iter().map(|figure| figure.label(5)).collect();
        assert_eq!((keys.len(), labels.len()), (all.len(), all.len()));
    }
}

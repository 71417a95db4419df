//! The cells of the table: all repeats of one fault under one load with one heartbeat.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::fault::{Class, Fault};
use super::repeat::{End, Repeat, Seen};
use crate::stats::percentile;

/// One row's figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    pub heartbeat: String,
    pub downloads: u32,
    pub uploads: u32,
    pub fault: Fault,
    pub repeats: usize,
    /// Transfers that lost bytes or got wrong ones.
    pub damaged: usize,
    /// Open connections that broke or hung: transfers, and new connections after their connect.
    pub broken: usize,
    /// Longest stall of each transfer in each repeat; absent if none lived on.
    pub stall_ms: Option<Spread>,
    pub connects: usize,
    pub failed_connects: usize,
    /// Slowest new connection of each repeat.
    pub longest_wait_ms: Option<Spread>,
    /// Longest time without a successful new connection of each repeat.
    pub longest_without_ms: Option<Spread>,
    /// From the fault to the end of the client's socket, of transfers that ended early.
    pub ended_after_ms: Option<Spread>,
    /// Packets.
    pub leaks: u64,
    /// The longest time in which the machine did not run the drill's clock, of each repeat.
    pub pause_ms: Option<Spread>,
    /// For what part of the load's time the agent that waited most had no core, of each repeat.
    pub waited_percent: Option<Spread>,
}

/// Median, 99th percentile and maximum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Spread {
    /// `None` without samples.
    pub fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        Some(Self {
            p50: percentile(&samples, 50.0)?,
            p99: percentile(&samples, 99.0)?,
            max: percentile(&samples, 100.0)?,
        })
    }
}

/// Cells by heartbeat, load and fault. Default settings come last in the alphabet and first here.
pub fn cells(repeats: &[Repeat]) -> Vec<Cell> {
    let mut sorted: BTreeMap<_, Vec<&Repeat>> = BTreeMap::new();
    for repeat in repeats {
        let heartbeat = Reverse(repeat.heartbeat.as_str());
        let key = (heartbeat, repeat.downloads, repeat.uploads, repeat.fault);
        sorted.entry(key).or_default().push(repeat);
    }
    sorted.values().map(|repeats| Cell::of(repeats)).collect()
}

impl Cell {
    /// Of at least one repeat, all alike.
    fn of(repeats: &[&Repeat]) -> Self {
        let first = repeats[0];
        let transfers = || repeats.iter().flat_map(|repeat| &repeat.transfers);
        let ends = |is: fn(End) -> bool| transfers().filter(|seen| is(seen.end)).count();
        let transfer_spread =
            |value: fn(&Seen) -> Option<f64>| Spread::of(transfers().filter_map(value).collect());
        let spread = |value: fn(&Repeat) -> f64| {
            Spread::of(repeats.iter().map(|repeat| value(repeat)).collect())
        };
        let sum = |value: fn(&Repeat) -> usize| repeats.iter().map(|repeat| value(repeat)).sum();
        let broken_connects: usize = sum(|repeat| repeat.connects.broken);
        Self {
            heartbeat: first.heartbeat.clone(),
            downloads: first.downloads,
            uploads: first.uploads,
            fault: first.fault,
            repeats: repeats.len(),
            damaged: ends(|end| end == End::Damaged),
            broken: ends(|end| matches!(end, End::Broken | End::Hung)) + broken_connects,
            stall_ms: transfer_spread(|seen| seen.stall_ms),
            connects: sum(|repeat| repeat.connects.attempts),
            failed_connects: sum(|repeat| repeat.connects.failed),
            longest_wait_ms: spread(|repeat| repeat.connects.longest_wait_ms),
            longest_without_ms: spread(|repeat| repeat.connects.longest_without_ms),
            ended_after_ms: transfer_spread(|seen| seen.ended_after_ms),
            leaks: repeats.iter().map(|repeat| repeat.leaks.total()).sum(),
            pause_ms: spread(|repeat| repeat.pause_ms),
            waited_percent: spread(|repeat| repeat.waited_percent),
        }
    }

    /// Whether what happened must never happen.
    pub fn is_wrong(&self) -> bool {
        let lives_on = self.fault.class() != Class::Exit;
        self.damaged > 0 || self.leaks > 0 || (lives_on && self.broken > 0)
    }
}

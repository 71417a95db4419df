//! Whether an agent grows from quiet state to quiet state: pure.
//!
//! A life is one process. Its first quiet states are left out: caches fill, pools are made. The
//! rest is cut into thirds, and of each the median is taken, so that one odd state decides nothing.
//! It grows if the last third exceeds the first by more than the allowance, *and* the middle third
//! by more than a quarter of it: what grew once and stayed there is no leak.

use std::collections::BTreeMap;

use serde::Serialize;

use super::sample::{Phase, Sample, Size};
use crate::stats::Summary;

/// Quiet states of a life that are left out.
pub const WARM_UP: usize = 2;

/// Quiet states that a judgement takes, after those of the warm-up: two in each third.
pub const LEAST_STATES: usize = 6;

const MIB: f64 = 1024.0 * 1024.0;

/// What may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    Memory,
    Descriptors,
    Tasks,
    Streams,
}

/// One measure of one life.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    pub agent: String,
    pub pid: u32,
    pub measure: Measure,
    /// Quiet states that were compared.
    pub states: usize,
    /// Medians of the thirds; memory in bytes.
    pub first: f64,
    pub middle: f64,
    pub last: f64,
    pub allowance: f64,
    pub grows: bool,
}

impl Measure {
    pub const ALL: [Self; 4] = [Self::Memory, Self::Descriptors, Self::Tasks, Self::Streams];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::Tasks => "tasks",
            Self::Streams => "streams",
        }
    }

    fn of(self, size: &Size) -> Option<f64> {
        let count = match self {
            Self::Memory => Some(size.memory_bytes),
            Self::Descriptors => Some(size.descriptors),
            Self::Tasks => size.tasks,
            Self::Streams => size.streams,
        };
        count.map(|count| count as f64)
    }

    /// By how much the last third may exceed the first.
    pub fn allowance(self, first: f64) -> f64 {
        match self {
            // What an allocator keeps depends on the heaviest moment so far.
            Self::Memory => (first / 4.0).max(8.0 * MIB),
            // A connection that an HTTP client or a peer is about to close.
            Self::Descriptors | Self::Tasks => 8.0,
            // Nobody has one open.
            Self::Streams => 0.0,
        }
    }

    /// For people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Memory => format!("{:.1} MiB", value / MIB),
            Self::Descriptors | Self::Tasks | Self::Streams => format!("{value}"),
        }
    }
}

/// All measures of all lives that are long enough, in the order in which the lives began.
pub fn trends(samples: &[Sample]) -> Vec<Trend> {
    let lives = lives(samples);
    lives
        .iter()
        .flat_map(|life| {
            let trend = |measure| life.trend(measure);
            Measure::ALL.into_iter().filter_map(trend)
        })
        .collect()
}

/// One process and its quiet states: what was sampled in each.
struct Life<'a> {
    agent: &'a str,
    pid: u32,
    states: BTreeMap<usize, Vec<Size>>,
}

fn lives(samples: &[Sample]) -> Vec<Life<'_>> {
    let mut lives: Vec<Life<'_>> = Vec::new();
    for sample in samples.iter().filter(|it| it.phase == Phase::Quiet) {
        let known = lives
            .iter()
            .position(|life| life.pid == sample.pid && life.agent == sample.agent);
        let at = known.unwrap_or_else(|| {
            lives.push(Life {
                agent: &sample.agent,
                pid: sample.pid,
                states: BTreeMap::new(),
            });
            lives.len() - 1
        });
        let state = lives[at].states.entry(sample.cycle).or_default();
        state.push(sample.size);
    }
    lives
}

impl Life<'_> {
    /// `None` if the life is too short.
    fn trend(&self, measure: Measure) -> Option<Trend> {
        let states = self.states.values().skip(WARM_UP);
        let states: Vec<f64> = states
            .filter_map(|sizes| {
                let sizes = sizes.iter().filter_map(|size| measure.of(size));
                median(&sizes.collect::<Vec<_>>())
            })
            .collect();
        if states.len() < LEAST_STATES {
            return None;
        }
        let third = states.len() / 3;
        let first = median(&states[..third])?;
        let middle = median(&states[third..states.len() - third])?;
        let last = median(&states[states.len() - third..])?;
        let allowance = measure.allowance(first);
        Some(Trend {
            agent: self.agent.to_owned(),
            pid: self.pid,
            measure,
            states: states.len(),
            first,
            middle,
            last,
            allowance,
            grows: last - first > allowance && last - middle > allowance / 4.0,
        })
    }
}

fn median(values: &[f64]) -> Option<f64> {
    Summary::of(values).map(|summary| summary.median)
}

#[cfg(test)]
mod tests;

//! The arguments of `drill`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::fault::Fault;
use super::heartbeat::{Heartbeat, parse_heartbeat};
use crate::report::Files;

/// What to break, how often, under which load.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// Repeats of every fault with every load and heartbeat; 0 leaves them out.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub repeats: u32,
    /// These faults, separated by commas [default: all but cut-to-transit].
    #[arg(long, value_enum, value_delimiter = ',')]
    pub faults: Vec<Fault>,
    /// Heartbeats of the agents: `default` for default settings, or milliseconds.
    #[arg(long, value_delimiter = ',', default_values = ["default", "50ms"], value_parser = parse_heartbeat)]
    pub heartbeats: Vec<Heartbeat>,
    /// Loads: so many downloads, and as many uploads.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8], value_parser = clap::value_parser!(u32).range(1..=100))]
    pub flows: Vec<u32>,
    /// MB/s of all downloads together, and of all uploads.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// Transfer as fast as it goes.
    #[arg(long, conflicts_with = "rate")]
    pub unlimited: bool,
    /// Before the faults, so many seconds of full load without any, to count false alarms.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub quiet: u64,
    /// Draw the throughput of a download through the death of its transit as SVG.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Begins the random numbers: when faults strike, and where in the pattern transfers begin.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The warren binary [default: `warren` beside this program].
    #[arg(long, value_name = "FILE")]
    pub warren: Option<PathBuf>,
    #[command(flatten)]
    pub files: Files,
    /// After every repeat copy the agents' files and logs into a folder of its own below this one.
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
}

impl DrillArgs {
    /// The faults to make, in the order of the table.
    pub fn faults(&self) -> Vec<Fault> {
        if self.faults.is_empty() {
            return Fault::STANDARD.to_vec();
        }
        let named = |fault: &Fault| self.faults.contains(fault);
        Fault::value_variants()
            .iter()
            .copied()
            .filter(named)
            .collect()
    }

    /// Bytes per second of each direction.
    pub fn rate(&self) -> Option<u64> {
        (!self.unlimited).then_some(u64::from(self.rate) * 1_000_000)
    }
}

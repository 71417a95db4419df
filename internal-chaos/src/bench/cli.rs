//! The arguments of `bench`.

use std::path::PathBuf;

use clap::Args;

use super::system::System;
use crate::report::Files;

/// What to measure, how often and how long.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Rounds; every round measures every system once.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeats: u32,
    /// Seconds of each timed load.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=300))]
    pub seconds: u32,
    /// Idle connections held while memory is read.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub idle: u32,
    /// Only these systems, separated by commas: kernel, openssh, warren-0 to warren-3.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<System>,
    /// The warren binary [default: `warren` beside this program].
    #[arg(long, value_name = "FILE")]
    pub warren: Option<PathBuf>,
    #[command(flatten)]
    pub files: Files,
}

impl BenchArgs {
    /// The systems to measure, in the order of the table.
    pub fn systems(&self) -> Vec<System> {
        System::ALL
            .into_iter()
            .filter(|system| self.only.is_empty() || self.only.contains(system))
            .collect()
    }
}

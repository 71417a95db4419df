//! What to run and where to write it.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// Simulates whole meshes of the routing core and prints how they scale.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Sizes of meshes of whole agents
    #[arg(long, value_delimiter = ',', num_args = 0.., default_values_t = [100, 300, 1_000])]
    pub(crate) agents: Vec<usize>,
    /// Sizes of meshes whose agents hold the advertisements of a sample of origins only
    #[arg(long, value_delimiter = ',', num_args = 0.., default_values_t = [1_000, 10_000])]
    pub(crate) sampled: Vec<usize>,
    /// Sizes of the mesh that one real core holds alone, for memory and recomputation
    #[arg(long, value_delimiter = ',', num_args = 0.., default_values_t = [100, 1_000, 3_000, 10_000])]
    pub(crate) single: Vec<usize>,
    /// Deaths of each kind
    #[arg(long, default_value_t = 20)]
    pub(crate) events: usize,
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Stop a mesh when this process takes more memory, GiB
    #[arg(long, default_value_t = 8)]
    pub(crate) memory_gib: usize,
    /// Synchronize two real agents too
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    pub(crate) processes: bool,
    /// Add to the figures of an earlier run, as --json wrote them
    #[arg(long)]
    pub(crate) with: Option<PathBuf>,
    /// Write the figures as JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Write the tables as Markdown
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
    /// Draw the growth
    #[arg(long)]
    pub(crate) svg: Option<PathBuf>,
    /// Measure one core alone and print that as JSON: memory is only told apart in a fresh process
    #[arg(long, hide = true)]
    pub(crate) alone: Option<usize>,
    /// Given by `cargo bench`
    #[arg(long = "bench", hide = true)]
    _bench: bool,
}

//! The benchmark: several systems carry the same loads over the same wires, interleaved, so that
//! a slow minute of the machine hits all of them alike.

mod cli;
pub mod figures;
pub mod measure;
pub mod report;
mod run;
pub mod system;
pub mod verdict;

pub use cli::BenchArgs;
pub use run::run;

//! From everybody's links to this agent's paths, and which of them a session takes.

mod alternate;
pub(super) mod avoid;
mod choice;
pub(super) mod graph;
mod id_index;
pub(super) mod path;
pub(super) mod path_table;
mod redundancy;
mod shortest;
mod shun;
mod switch;

pub use avoid::Avoid;
pub use choice::{PathChoice, TAKEOVER_AFTER};
pub use graph::{Graph, GraphAgent, GraphLink};
pub use path::{Path, PathSet, Standing};
pub use path_table::PathTable;
pub use shun::Shunned;
pub use switch::{SwitchCause, Switched};

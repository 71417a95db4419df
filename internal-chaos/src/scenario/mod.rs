//! Scenarios: a mesh, faults over time, a load, and what must hold. Written as YAML, run with real
//! agents on loopback, every link an impaired relay; nothing outside of loopback is touched.
//!
//! | file | what lives there |
//! |---|---|
//! | `raw`, `text`, `named`, `check`, `deed`, `file` | from YAML to a [`model::Scenario`], with every problem's place |
//! | [`library`], [`ladder`] | the scenarios that come with the program; one for every named condition |
//! | `run` | one run: mesh, load, faults at their times |
//! | `wires`, `targets`, `balancer`, `strike` | links, what the load talks to and may come in through, and faults |
//! | `load`, `watch`, `origin`, `diag` | what applications do, what agents say, who reaches the target |
//! | [`record`], [`Finding`], [`mod@judge`] | what was seen, and whether it is what was expected; pure |
//! | [`report`], [`page`], `timeline` | text, JSON, HTML |
//! | [`mod@links`] | what a link under each named condition carries |
//! | [`mod@soak`] | the same again and again, and whether agents grow |

mod balancer;
mod check;
mod cli;
mod deed;
mod diag;
mod file;
mod finding;
pub mod judge;
pub mod ladder;
pub mod library;
pub mod links;
mod load;
pub mod model;
mod named;
mod origin;
pub mod page;
mod raw;
pub mod record;
pub mod report;
mod run;
pub mod soak;
mod standstill;
mod strike;
mod targets;
mod text;
mod timeline;
mod transfer;
mod watch;
mod wires;

pub use cli::{RunArgs, list, run};
pub use file::{BadScenario, parse, read};
pub use finding::Finding;
pub use run::play;
pub use text::{Bound, Texts};

/// What the load talks to, as faults name it.
const TARGET: &str = "target";

/// The target's name, which name servers know.
const TARGET_NAME: &str = "target.chaos.test";

#[cfg(test)]
mod tests;

//! A mesh under load and random faults for minutes or hours: nothing may be lost, and nothing may
//! grow.
//!
//! It goes in cycles. Each has a load with faults, then a quiet state in which nothing is open;
//! what the agents have in memory, descriptors, tasks and streams is compared between quiet states
//! only, so that a load that happens to be heavier is no leak.
//!
//! | file | what lives there |
//! |---|---|
//! | `cli` | the command |
//! | `run` | the cycles |
//! | `draw` | which fault strikes when; pure |
//! | `excuse` | whether faults excuse that a connection broke; pure |
//! | [`sample`] | what an agent has at some time |
//! | [`growth`] | whether it grows from quiet state to quiet state; pure |
//! | [`record`], [`report`] | what was seen, what is wrong with it, text and JSON; pure |

mod cli;
mod draw;
mod excuse;
pub mod growth;
pub mod record;
pub mod report;
mod run;
pub mod sample;

pub use cli::{SoakArgs, run};
pub use run::{Plan, soak};

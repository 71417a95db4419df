//! An impaired UDP path between two agents, in user space: what `tc netem` does, without root and
//! without touching the machine's own interfaces.
//!
//! ```text
//!            listen                               outward, one port per client
//!  client ──────────► rules ─► pipe to server ─► ─────────────────────────────► server
//!         ◄────────── pipe to client ◄─ rules ◄─ ◄─────────────────────────────
//! ```
//!
//! The client is the agent that dials: its `peers` entry names the relay's address. The server is
//! the agent that is dialled. Everything may be changed while it runs.
//!
//! | file | what lives there |
//! |---|---|
//! | [`Pipe`] | rate, queue, delay, jitter, loss, MTU, outages of one direction; pure |
//! | [`Core`] | rules and two pipes; pure |
//! | `nat` | one outward socket per client |
//! | `shell` | the thread: sockets, clock |
//! | `handle` | what a test or the command line holds: changes, guards, counters |
//! | [`control`], `cli` | `internal-chaos relay` |
//! | [`measure`] | `internal-chaos relay-check`: what this machine can hold |

mod cli;
pub mod control;
mod core;
mod counters;
mod handle;
pub mod measure;
mod nat;
mod pipe;
mod shell;

pub use cli::{RelayArgs, run};
pub use core::Core;
pub use counters::{Counters, PipeCounters};
pub use handle::{Imposed, Options, Relay, RelayError, RuleGuard};
pub use nat::MOST_FLOWS;
pub use pipe::Pipe;

#[cfg(test)]
mod tests;

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
//! What it holds, by `relay-check` in a debug build on a virtual machine of two cores, as root (its
//! thread then runs before others), 5 s each, full packets one way through a delay of 10 ms, with
//! so many threads burning CPU beside it:
//!
//! | offered | burning | arrived | late, median / p99 / most, ms | at most 10 ms late |
//! |---|---:|---:|---|---:|
//! | 200 Mbit/s | 0 | all | 0.24 / 3.4 / 43 | 99.8 % |
//! | 200 Mbit/s | 2 | all | 0.23 / 5.6 / 28 | 99.7 % |
//! | 200 Mbit/s | 4 | all | 0.27 / 5.4 / 19 | 99.8 % |
//! | 500 Mbit/s | 0 | all | 0.37 / 3.6 / 10 | 99.99 % |
//! | 500 Mbit/s | 2 | 97 % | 10.2 / 48 / 56 | 49 % |
//!
//! So 10 ms hold for all but three packets in a thousand at 200 Mbit/s. The longest wait came
//! without any load of ours.
//!
//! | file | what lives there |
//! |---|---|
//! | [`Pipe`] | rate, queue, delay, jitter, loss, MTU, outages of one direction; pure |
//! | [`Core`] | rules and two pipes; pure |
//! | `nat` | one outward socket per client |
//! | `shell` | the thread: sockets, clock |
//! | `handle` | what a test or the command line holds: changes, guards, counters |
//! | [`bottleneck`] | the same between two namespaces, for all that the kernel sends |
//! | [`control`], `cli` | `internal-chaos relay` |
//! | [`measure`] | `internal-chaos relay-check`: what this machine can hold |

pub mod bottleneck;
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
pub use handle::{Options, Relay, RelayError, RuleGuard};
pub use nat::MOST_FLOWS;
pub use pipe::Pipe;

#[cfg(test)]
mod tests;

//! The failover drill with few repeats: real agents in network namespaces, one fault each, under
//! checked transfers and a new connection every 20 ms. Needs root, `ip` and `nft`.
//!
//! What must never happen is asserted; times only generously, because other work on the machine
//! stretches them. `internal-chaos drill` measures them.

#![allow(
    clippy::print_stderr,
    reason = "why a repeat does not count goes to the test's output"
)]

mod exit;
mod grey;
mod paths;
mod quiet;
mod support;

//! Whole agents in virtual time: real link QUIC, real control plane, real sessions, over a network
//! in memory and under a paused clock. Faults strike at random; no byte may be lost.
//!
//! `WARREN_SEED=7` runs that seed alone, `WARREN_SEEDS=1000` so many seeds.
//! `docs/virtual-time.md` says what a seed fixes and what it does not.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A test that cannot go on fails, and says so.

mod condition;
mod fault;
mod log;
mod long;
mod mesh;
mod narrow;
mod network;
mod regressions;
#[allow(dead_code)] // Shared with the simulation, which draws more.
#[path = "../simulation/rng.rs"]
mod rng;
mod scenarios;
mod seeds;
mod socket;
mod transfer;
mod trial;
#[path = "../support/socket.rs"]
mod writable;

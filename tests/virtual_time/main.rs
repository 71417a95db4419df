//! Whole agents in virtual time: real link QUIC, real control plane, real sessions, over a network
//! in memory and under a paused clock. Faults strike at random; no byte may be lost.
//!
//! `WARREN_SEED=7` runs that seed alone, `WARREN_SEEDS=1000` so many seeds.
//! `docs/virtual-time.md` says what a seed fixes and what it does not.

mod condition;
mod fault;
mod log;
mod mesh;
mod network;
#[path = "../simulation/rng.rs"]
mod rng;
mod scenarios;
mod seeds;
mod socket;
mod transfer;
mod trial;

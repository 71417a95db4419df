//! Real `warren` processes on loopback: what a user sees when things go right and when they fail.
//!
//! Run one file with `cargo test --test process failover::`. `WARREN_TEST_LOG=debug` makes the
//! agents of a failing test tell more.

#[path = "../support/mod.rs"]
mod support;

mod accounting;
mod bad_input;
mod commands;
mod demo;
mod exit_death;
mod fail_closed;
mod failover;
mod garbage;
mod health_checks;
mod http;
mod login;
mod names;
mod patterns;
mod stop;
mod streams;
mod trust;

//! Real `warren` processes on loopback: what a user sees when things go right and when they fail.
//!
//! Run one file with `cargo test --test process failover::`. `WARREN_TEST_LOG=debug` makes the
//! agents of a failing test tell more.

#[path = "../support/mod.rs"]
mod support;

#[path = "../clients/installed.rs"]
mod installed;

mod accounting;
mod added_routes;
mod bad_day;
mod bad_input;
mod balancer;
mod causes;
mod clock;
mod commands;
mod demo;
mod distrust;
mod drain;
mod events;
mod exit_death;
mod fail_closed;
mod failover;
mod first_steps;
mod garbage;
mod glibc;
mod grey;
mod groups;
mod hash;
mod health_checks;
mod host;
mod http;
mod login;
mod logs;
mod names;
mod narrow;
mod open_files;
mod paths;
mod patterns;
mod pause;
mod peer_names;
mod proxy_protocol;
mod readme;
mod reload;
mod renewal;
mod resets;
mod secrets;
mod service;
mod slow_interface;
mod stalls;
mod stop;
mod streams;
mod supervised;
mod trace;
mod trust;

//! A member of the mesh that says whatever it likes, against real agents: what one hostile
//! certificate holder can do to everybody else.
//!
//! [`Member`](member::Member) speaks the link protocol by itself: its handshake, its control
//! messages, its advertisements and its packets are written here, byte by byte where that matters,
//! so that nothing in warren keeps it from lying. An attack is a file of a few lines.

#![allow(clippy::print_stdout)] // The figures of docs/security.md.

#[path = "../support/mod.rs"]
mod support;

mod canonical;
mod churn;
mod crowding;
mod distrust;
mod doubles;
mod extremes;
mod files;
mod floods;
mod forgery;
mod grants;
mod handshakes;
mod headers;
mod hoards;
mod insides;
mod jumps;
mod link;
mod member;
mod packets;
mod requests;
mod resolver;
mod scene;
mod session;
mod sessions;
mod slow;
mod streams;
mod wire;

//! warren: a mesh of agents that carries SOCKS5 traffic over QUIC.
//!
//! One binary is ingress, transit or exit by its YAML file. The crate is built in layers; imports
//! go down only, and `tests/layers` holds the order.
//!
//! | layer | module | knows |
//! |---|---|---|
//! | 10 | [`demo`] | an embedded mesh |
//! | 9 | [`agent`] | wiring, lifecycle |
//! | 8 | [`api`], [`cli`] | snapshots, commands |
//! | 7 | [`ingress`], [`exit`] | SOCKS5, dialling, DNS |
//! | 6 | [`tunnel`] | end-to-end sessions over a virtual socket |
//! | 5 | [`link`], [`forward`] | neighbours, packets on the wire |
//! | 4 | [`record`] | events, open streams: what people and tools ask for |
//! | 3 | [`routing`] | the pure core: no tokio, no quinn, no clock, no randomness |
//! | 2 | [`wire`], [`names`] | bytes to messages and back; names to addresses |
//! | 1 | [`config`], [`identity`], `quic` | files, keys, certificates; what links and sessions ask of QUIC alike |
//! | 0 | [`canonical`], [`clock`], [`limit`], [`task`], [`text`], `accept` | one form of each address and prefix; monotonic and wall-clock time; what strangers may cause; tasks and their panics; names and reasons; TCP ports |

mod accept;
pub mod canonical;
pub mod clock;
pub mod limit;
pub mod task;
pub mod text;

pub mod identity;
mod quic;

pub mod config;

pub mod names;

pub mod wire;

pub mod routing;

pub mod record;

pub mod forward;
pub mod link;

pub mod tunnel;

pub mod exit;
pub mod ingress;

pub mod api;
pub mod cli;

pub mod agent;

pub mod demo;

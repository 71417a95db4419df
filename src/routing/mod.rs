//! The pure core: `now` comes in, outputs come out; no tokio, no quinn, no clock, no randomness.
#![warn(clippy::wildcard_enum_match_arm)]

mod adjacency;
mod authority;
mod bucket;
mod contest;
mod core;
mod counters;
mod db;
mod digest;
mod flood;
mod issue;
mod origin;
mod output;
mod own;
mod path;
mod relay;
mod session;
mod settings;
mod slots;
mod sync;
#[cfg(test)]
mod testing;
mod time;
mod view;

pub use self::core::Core;
pub use adjacency::LinkMetrics;
pub use authority::{AdmitError, Admitted, Authority};
pub use counters::{AdvResult, Counters, MessageDrop};
pub use output::{Alarm, DisconnectReason, Output};
pub use path::Path;
pub use settings::{LinkUp, OwnRoutes, Settings};
pub use time::Now;
pub use view::{AdjacencyView, OriginView};

//! The advertisement database: flooding, synchronisation, what this agent says of itself.

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
mod pace;
mod relay;
mod session;
mod settings;
mod slots;
mod sole_way;
mod sync;
#[cfg(test)]
mod testing;
mod time;
mod told;
mod view;

pub use self::core::Core;
pub use adjacency::LinkMetrics;
pub use authority::{AdmitError, Admitted, Authority};
pub use bucket::TokenBucket;
pub use counters::{AdvResult, Counters, MessageDrop};
pub use output::{Alarm, DisconnectReason, Output};
pub use settings::{LinkUp, OwnRoutes, Settings};
pub use time::Now;
pub use view::{AdjacencyView, OriginView};

//! The pure core: `now` comes in, outputs come out; no tokio, no quinn, no clock, no randomness.
//!
//! ```text
//! control messages, links ─► Core ─► advertisements of everybody
//!                                        │
//!            Graph ◄── link adverts ─────┴──── route adverts ──► PrefixTable
//!              └─► PathTable ───────────► RouteTable ◄──────────────┘
//!                      └─► PathChoice (one per session) ─► Shunned ─► PathTable
//! silence of a neighbour ─► Liveness (one per link)
//! ```

#![warn(clippy::wildcard_enum_match_arm)]

mod path;
mod time;

pub use path::{Path, PathSet, Standing};
pub use time::Now;

// The database: flooding, synchronisation, own advertisements.
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
mod told;
mod view;

pub use self::core::Core;
pub use adjacency::LinkMetrics;
pub use authority::{AdmitError, Admitted, Authority};
pub use bucket::TokenBucket;
pub use counters::{AdvResult, Counters, MessageDrop};
pub use output::{Alarm, DisconnectReason, Output};
pub use settings::{LinkUp, OwnRoutes, Settings};
pub use view::{AdjacencyView, OriginView};

// Paths and choice: from advertisements to a route table.
mod alternate;
mod avoid;
mod balance;
mod candidate;
mod choice;
mod explain;
#[cfg(test)]
pub(crate) mod fixture;
mod graph;
mod id_index;
mod lately;
mod liveness;
mod losses;
mod mesh;
mod owned;
mod path_table;
mod prefix_table;
mod rebuild;
mod redundancy;
mod route_table;
mod shortest;
mod shun;
mod switch;

pub use avoid::Avoid;
pub use balance::{Balancer, MAX_TURNS};
pub use candidate::Candidate;
pub use choice::{PathChoice, TAKEOVER_AFTER};
pub use explain::{Chosen, Considered, Explanation};
pub use graph::{Graph, GraphAgent, GraphLink};
pub use lately::{LATELY, Lately};
pub use liveness::{LinkState, Liveness};
pub use mesh::Mesh;
pub use path_table::PathTable;
pub use prefix_table::PrefixTable;
pub use rebuild::Rebuild;
pub use route_table::{BuildInput, Counts, Destination, MAX_CANDIDATES, RouteTable};
pub use shun::Shunned;
pub use switch::{SwitchCause, Switched};

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
//!
//! | room | what lives there |
//! |---|---|
//! | `database` | the core: flooding, synchronisation, own advertisements |
//! | `paths` | from links to paths, and which one a session takes |
//! | `table` | which exits serve a destination |
//! | `mesh`, `liveness` | what everybody reads of a moment; whether a neighbour lives |

#![warn(clippy::wildcard_enum_match_arm)]

mod database;
#[cfg(test)]
pub(crate) mod fixture;
mod liveness;
mod mesh;
mod paths;
mod table;

pub use database::{
    AdjacencyView, AdmitError, Admitted, AdvResult, Alarm, Authority, Core, Counters,
    DisconnectReason, LinkMetrics, LinkUp, MessageDrop, Now, OriginView, Output, OwnRoutes,
    Settings, TokenBucket,
};
pub use liveness::{LinkState, Liveness};
pub use mesh::Mesh;
pub use paths::{
    Avoid, Graph, GraphAgent, GraphLink, Path, PathChoice, PathSet, PathTable, Shunned, Standing,
    SwitchCause, Switched, TAKEOVER_AFTER,
};
pub use table::{
    Balancer, BuildInput, Candidate, Chosen, Considered, Counts, Destination, Explanation, LATELY,
    Lately, MAX_CANDIDATES, MAX_TURNS, PrefixTable, Rebuild, RouteTable,
};

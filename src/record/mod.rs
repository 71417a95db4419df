//! What is remembered of what happened, and what is open now: for people, tools and metrics.
//!
//! ```text
//! links, sessions, checks, clocks ─ Event ─► Journal ─► /api/events, `warren events`
//!                                                └────► the log
//! relays ─ StreamGuard ─► StreamTable ─► /api/streams, balancing
//! ```
//!
//! No task is here. Every list has a limit, and forgets its oldest entry there.

mod event;
mod journal;
mod log;
mod metrics;
mod sessions;
mod side;
mod streams;

pub use event::{Cause, Event, Failover};
pub use journal::{Entry, Journal};
pub use sessions::SessionLog;
pub use side::Side;
pub use streams::{StreamGuard, StreamSnapshot, StreamTable};

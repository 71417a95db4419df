//! Neighbours: link connections dialled and accepted, one kept per neighbour, each with a driver.
//!
//! ```text
//! dial task per peer ──┐                    ┌─► events ─► the control task (agent)
//!                      ├─► hello ─► driver ─┤
//! accept task per port ┘                    └─► Fib (token, address, up)
//! ```
//!
//! A driver owns its link: heartbeats, liveness, control messages both ways, token rotation. It
//! may be aborted: the neighbour then takes the link down by silence.

mod accept;
mod backoff;
mod control;
mod dial;
mod dial_error;
mod driver;
mod ending;
mod event;
mod hearing;
mod heartbeat;
mod hello;
mod opened;
mod path_errors;
mod patience;
mod probe;
mod reach;
mod remote;
mod run;
mod standstill;
mod table;
mod tokens;
mod transport;
mod voice;

pub use accept::accept;
pub use backoff::Backoff;
pub use dial::{DialTarget, dial_forever};
pub use dial_error::DialError;
pub use event::{DownReason, LinkEvent};
pub use hello::{FEATURES, VERSION};
pub use opened::LinkContext;
pub use patience::patience;
pub use probe::{Probed, probe};
pub use reach::Resolve;
pub use standstill::Standstill;
pub use table::{LinkInfo, Links, PeerStatus};
pub use transport::{DataPlane, LinkEndpoint};

#[cfg(test)]
mod tests;

//! Path control: which path a session takes, whether that one is sound, and what is done while it may
//! not be. Pure: it is handed the time, the mesh and what packets tell, and says what it wants done.
//!
//! ```text
//!  session::steer  ─ handle_*(now, …) ─► IngressPath ─ poll_output() ─► route, probe, kick, record …
//!  session::follow ─ handle_*(now, …) ─► ExitPath    ─ poll_timeout()
//! ```
//!
//! The ingress chooses the path; the exit answers along its reverse. Either end doubts, and while one
//! does, both mirror.
//!
//! | file | what lives there |
//! |---|---|
//! | `ingress` | an opened session's path: its doubt, and its moves |
//! | `exit` | an accepted session's path back |
//! | `probing` | when an opened session's probes are due, and which are on their way |
//! | `deadlines` | every time that is waited for, and what a peer may make us do |
//! | `recorder` | what a failover cost |
//! | `input`, `output` | what is told to path control, and what it wants done |
//! | `probe` | a probe's bytes and key |

mod deadlines;
mod exit;
mod ingress;
mod input;
mod output;
pub(crate) mod probe;
mod probing;
mod recorder;

pub(crate) use deadlines::Timing;
pub(crate) use exit::ExitPath;
pub(crate) use ingress::IngressPath;
pub use ingress::SessionInfo;
pub(crate) use input::{Answer, Asked, Traffic};
pub(crate) use output::{News, Output, Way};

/// QUIC's smallest packet (RFC 9000 section 14): a path must carry this and the packet header.
pub(crate) const SMALLEST: u16 = 1_200;

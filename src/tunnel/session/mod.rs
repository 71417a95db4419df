//! Sessions: one QUIC connection between an ingress and an exit for all their streams.
//!
//! ```text
//! ingress: Sessions ─► one steering task per session
//! exit:    SessionListener ─► accepted sessions, one following task each
//! ```
//!
//! Steering and following tasks are detached and end with their connections. Aborting one leaves its
//! session on its path until it idles out.
//!
//! | file | what lives there |
//! |---|---|
//! | `open` | the opening side: one live session per exit |
//! | `accept` | the accepting side: handshakes, sessions handed to the exit |
//! | `admission` | which handshakes begin |
//! | `steer`, `follow` | the task of an opened and of an accepted session |
//! | `hands` | what path control wants done, done to one session |
//! | `endpoint`, `congestion` | QUIC settings; what may be in flight, and room for a kick in a full window |
//! | `kick` | makes quinn send at once |

pub(crate) mod accept;
mod admission;
pub(crate) mod congestion;
pub(crate) mod endpoint;
mod follow;
mod hands;
mod kick;
pub(crate) mod open;
mod steer;
#[cfg(test)]
mod tests;

//! Packets on the wire: the UDP ports, the table of adjacencies, and the forwarding between them.
//!
//! ```text
//!            ┌──────────────── receive loop, one task per port ────────────────┐
//! UDP port ──┤ QUIC fixed bit set   → QuicSocket  → the link endpoint          │
//!            │ header, last hop     → Inbox       → a tunnel's virtual socket  │
//!            │ header, other hop    → rewrite in place → the next hop's port   │
//!            └─────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The loop owns its buffers and allocates nothing per packet. It may be aborted at any time: all
//! it holds is packets, and those may be lost.

mod adjacency;
mod blocked;
mod buffer;
mod door;
mod fib;
mod inbox;
mod kernel;
mod metrics;
mod offload;
mod port;
mod quic_queue;
mod quic_socket;
mod receive;
mod recent;

pub use adjacency::{Adjacency, Packets, Remote};
pub use buffer::{Buffer, BufferPool};
pub use door::Door;
pub use fib::{Fib, PathErrorReport};
pub use inbox::{Delivery, Inbox};
pub use kernel::{RECEIVE_BUFFER, SEND_BUFFER};
pub use metrics::{DropReason, Metrics};
pub use port::{Port, Run};
pub use quic_socket::QuicSocket;
pub use receive::{Local, receive};
pub use recent::Recent;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

//! End-to-end sessions: one QUIC connection between an ingress and an exit, one stream per
//! proxied connection, over a virtual socket whose packets the mesh carries.

mod address;
mod open;
mod outlet;
mod ring;
mod virtual_socket;

pub use open::{ExitStream, OpenError, OpenStream};
pub use outlet::{Outlet, Outlets};
pub use virtual_socket::VirtualSocket;

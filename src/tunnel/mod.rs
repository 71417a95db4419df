//! End-to-end sessions: one QUIC connection between an ingress and an exit, one stream per
//! proxied connection, over a virtual socket whose packets the mesh carries.

mod open;

pub use open::{ExitStream, OpenError, OpenStream};

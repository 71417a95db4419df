//! End-to-end sessions: one QUIC connection between an ingress and an exit, one stream per
//! proxied connection, over a virtual socket whose packets the mesh carries.

mod framed;
mod open;
mod relay;
mod streams;
#[cfg(test)]
pub(crate) mod testing;

pub use framed::{ReceiveError, receive_message, send_message};
pub use open::{ExitStream, OpenError, OpenStream};
pub use relay::{RelayEnd, TCP_RESET, relay, reset_on_drop, tune};
pub use streams::{Role, StreamGuard, StreamSnapshot, StreamTable};

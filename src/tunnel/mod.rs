//! End-to-end sessions: one QUIC connection between an ingress and an exit, one stream per
//! proxied connection, over a virtual socket whose packets the mesh carries.
//!
//! ```text
//! ingress: SessionOpener ─► Sessions ─► one steering task per session ─┐
//! exit:    SessionListener ─► accepted sessions                        ├─► Outlets (paths)
//! both:    Prober (path probes) ◄──── probes inbox                    ─┘
//! both:    quinn endpoint ─► VirtualSocket ─► transmit ring ─► port;  inbox ─► quinn
//! both:    relay: one task per proxied connection, entered in the StreamTable
//! ```

mod accept;
mod address;
mod congestion;
mod doubt;
mod echo;
mod endpoint;
mod failover;
mod flow;
mod follow;
mod framed;
mod journal;
mod kick;
mod metrics;
mod open;
mod outlet;
mod overdue;
mod packet;
mod probe;
mod prober;
mod probing;
mod relay;
mod rescue;
mod ring;
mod session_log;
mod sessions;
mod setup;
mod steer;
mod streams;
#[cfg(test)]
pub(crate) mod testing;
mod virtual_socket;

pub use accept::{AcceptedSession, SessionListener};
pub use echo::Echoer;
pub use endpoint::{SessionSettings, inner_packet};
pub use failover::{Failover, Failovers, Recovery};
pub use framed::{ReceiveError, receive_message, send_message};
pub use journal::{Entry, Journal, Numbers};
pub use metrics::{Metrics, Side};
pub use open::{ExitStream, OpenError, OpenStream};
pub use outlet::{Outlet, Outlets};
pub use relay::{RelayEnd, TCP_RESET, relay, reset_on_drop, tune};
pub use session_log::{SessionChange, SessionLog};
pub use sessions::{MeshView, SessionCrypto, SessionInfo, SessionOpener, Sessions};
pub use setup::{Tunnel, TunnelSetup};
pub use streams::{Role, StreamGuard, StreamSnapshot, StreamTable};
pub use virtual_socket::VirtualSocket;

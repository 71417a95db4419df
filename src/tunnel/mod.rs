//! End-to-end sessions: one QUIC connection between an ingress and an exit, one stream per
//! proxied connection, over a virtual socket whose packets the mesh carries.
//!
//! ```text
//! stream   relays, one per proxied connection
//! session  open, accept; one task per session that keeps it on a live path
//! socket   quinn ─► virtual socket ─► ring ─► port;  probes, echoes
//! path     pure: is the path sound, and what is done while it is not
//! ```
//!
//! [`Tunnel`] owns the tasks that live as long as the agent: prober, echoer, and a flush task per
//! virtual socket. Steering, following and relays are detached and end with their connections. All
//! may be aborted: a session without its task stays on its path until it idles out, and a relay
//! that is aborted ends its connection.
//!
//! | room, file | what lives there |
//! |---|---|
//! | `session` | sessions opened and accepted, their tasks, their QUIC settings |
//! | `stream` | a stream's head and bytes, and what both ends say beside it |
//! | `socket` | the socket under quinn, the path to each destination, probes as they arrive |
//! | `path` | whether a path is sound |
//! | `setup` | both sides put together, their tasks started |
//! | `failover`, `journal` | failovers that are remembered; bounded lists |
//! | `metrics`, `side` | counters; which end we are |

mod failover;
mod journal;
mod metrics;
mod path;
mod session;
mod setup;
mod side;
mod socket;
mod stream;
#[cfg(test)]
pub(crate) mod testing;

pub use failover::{Failover, Failovers, Recovery};
pub use journal::{Entry, Journal, Numbers};
pub use metrics::Metrics;
pub use path::probe::{Flags as ProbeFlags, Probe, ProbeKey};
pub use session::accept::{AcceptedSession, SessionListener};
pub use session::endpoint::{SessionSettings, inner_packet};
pub use session::log::{SessionChange, SessionLog};
pub use session::open::{MeshView, SessionCrypto, SessionInfo, SessionOpener, Sessions};
pub use setup::{Accepting, Tunnel, TunnelSetup};
pub use side::Side;
pub use socket::echo::Echoer;
pub use socket::outlet::{Outlet, Outlets};
pub use socket::virtual_socket::VirtualSocket;
pub use stream::exit_stream::{ExitStream, OpenError, OpenStream};
pub use stream::framed::{ReceiveError, receive_message, send_message};
pub use stream::notes::{SessionStreams, StreamNotes};
pub use stream::relay::{RelayEnd, TCP_RESET, relay, relay_own, reset_on_drop, tune};
pub use stream::table::{StreamGuard, StreamSnapshot, StreamTable};

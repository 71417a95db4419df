//! End-to-end sessions: one QUIC connection between an ingress and an exit, one stream per
//! proxied connection, over a virtual socket whose packets the mesh carries.
//!
//! ```text
//! session  opens and accepts; one task per session feeds its path control and does its outputs
//! stream   a stream's head and bytes: relays, one per proxied connection
//! socket   quinn ─► virtual socket ─► ring ─► port;  probes and echoes as they arrive
//! path     pure: which path, is it sound, what is done while it may not be
//! ```
//!
//! | word | what it means |
//! |---|---|
//! | suspect | a *link* that is silent and not given up yet; stored once, in the view of the mesh |
//! | doubt | a *path* that may be dead, for a reason; stored once, in the state of its path control |
//! | mirror | send packets along a second path, too, while the first is doubted |
//! | kick | make quinn send at once, with room in a full window |
//! | move | take another path |
//!
//! [`Tunnel`] owns the tasks that live as long as the agent: prober, echoer, and a flush task per
//! virtual socket. Steering, following and relays are detached and end with their connections. All
//! may be aborted: a session without its task stays on its path until it idles out, and a relay
//! that is aborted ends its connection.
//!
//! | file | what lives there |
//! |---|---|
//! | `setup` | both sides put together, their tasks started |
//! | `context`, `sizes` | what every session of an agent shares; what each may use, by the file and by the mesh |

mod context;
mod path;
mod session;
mod setup;
mod sizes;
mod socket;
mod stream;
#[cfg(test)]
pub(crate) mod testing;

pub use path::SessionInfo;
pub use path::probe::{Flags as ProbeFlags, Probe, ProbeKey};
pub use session::accept::{AcceptedSession, Accepting, SessionListener};
pub use session::open::{SessionCrypto, Sessions};
pub use setup::{Tunnel, TunnelSetup};
pub use sizes::{SessionSettings, Sizes};
pub use socket::cid::Cid;
pub use socket::echo::Echoer;
pub use socket::outlet::Outlet;
pub use socket::outlets::Outlets;
pub use socket::parts::Joiner;
pub use socket::virtual_socket::VirtualSocket;
pub use stream::exit_stream::{OpenError, OpenStream};
pub use stream::framed::{ReceiveError, receive_message, send_message};
pub use stream::notes::{ExitStream, SessionStreams, StreamNotes};
pub use stream::relay::{RelayEnd, TCP_RESET, relay, relay_own, reset_on_drop, tune};

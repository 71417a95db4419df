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
//!
//! [`Tunnel`] owns the tasks that live as long as the agent: prober, echoer, and a flush task per
//! virtual socket. Steering, following and relays are detached and end with their connections. All
//! may be aborted: a session without its task stays on its path until it idles out, and a relay
//! that is aborted ends its connection.
//!
//! | file | what lives there |
//! |---|---|
//! | `setup` | both sides put together, their tasks started |
//! | `sessions`, `open` | the opening side: one live session per exit; its seam to the ingress |
//! | `accept` | the accepting side: handshakes, sessions handed to the exit |
//! | `steer`, `follow` | the task of an opened and of an accepted session |
//! | `reach` | how long a session waits for an exit out of reach |
//! | `doubt`, `timing` | whether an opened session's path is trusted; how long that takes |
//! | `pace`, `credit` | how often things are repeated meanwhile; what a peer may make us do |
//! | `flow`, `overdue` | whether packets are answered; deadlines that our own lateness does not pass |
//! | `probe`, `prober`, `probing` | probes: their bytes and key; where all arrive; one session's schedule |
//! | `replay` | each probe counts once |
//! | `echo` | round trips to any agent |
//! | `packet` | single packets of ours beside a session's |
//! | `outlet`, `provisional` | the path to each destination, ready to be written; ways back that nothing authenticates |
//! | `virtual_socket`, `ring`, `address` | the socket under quinn; runs of packets; virtual addresses |
//! | `kick`, `congestion` | makes quinn send at once; what may be in flight, and room for a kick in a full window |
//! | `endpoint` | QUIC settings |
//! | `framed`, `relay`, `streams` | the head of a stream, its bytes, the table of all |
//! | `notes`, `ledger` | a session's streams, and what both ends say beside them; what each may send |
//! | `urgency` | which streams go first |
//! | `rescue`, `failover`, `journal` | one failover while it happens; those remembered; bounded lists |
//! | `session_log`, `metrics`, `side` | sessions opened and ended; counters; which end we are |

mod accept;
mod address;
mod answer;
mod congestion;
mod credit;
mod doubt;
mod echo;
mod endpoint;
mod failover;
mod flow;
mod follow;
mod framed;
mod journal;
mod kick;
mod ledger;
mod metrics;
mod notes;
mod open;
mod outlet;
mod overdue;
mod pace;
mod packet;
mod parts;
mod probe;
mod prober;
mod probing;
mod provisional;
mod reach;
mod relay;
mod replay;
mod rescue;
mod ring;
mod session_log;
mod sessions;
mod setup;
mod side;
mod steer;
mod streams;
#[cfg(test)]
pub(crate) mod testing;
mod timing;
mod urgency;
mod virtual_socket;

pub use accept::{AcceptedSession, SessionListener};
pub use echo::Echoer;
pub use endpoint::{SessionSettings, inner_packet};
pub use failover::{Failover, Failovers, Recovery};
pub use framed::{ReceiveError, receive_message, send_message};
pub use journal::{Entry, Journal, Numbers};
pub use metrics::Metrics;
pub use notes::{SessionStreams, StreamNotes};
pub use open::{ExitStream, OpenError, OpenStream};
pub use outlet::{Outlet, Outlets};
pub use probe::{Flags as ProbeFlags, Probe, ProbeKey};
pub use relay::{RelayEnd, TCP_RESET, relay, relay_own, reset_on_drop, tune};
pub use session_log::{SessionChange, SessionLog};
pub use sessions::{MeshView, SessionCrypto, SessionInfo, SessionOpener, Sessions};
pub use setup::{Tunnel, TunnelSetup};
pub use side::Side;
pub use streams::{StreamGuard, StreamSnapshot, StreamTable};
pub use virtual_socket::VirtualSocket;

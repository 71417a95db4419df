//! What lies under quinn: packets in and out by path instead of by address, and the probes and echoes
//! beside them.
//!
//! ```text
//! quinn endpoint ─► VirtualSocket ─► transmit ring ─► port;  inbox ─► VirtualSocket ─► quinn
//!                        │                                     │
//!                        └──── Outlets: path, mirror ──────────┴──► Flow: sent, arrived
//! probes inbox ─► Prober;  echoes inbox ─► Echoer
//! ```
//!
//! Flush task, prober and echoer are owned by [`Tunnel`](super::Tunnel). Aborting them loses packets.
//!
//! | file | what lives there |
//! |---|---|
//! | `virtual_socket`, `address` | the socket under quinn; virtual addresses |
//! | `transmitting`, `ring` | what leaves; its packets in runs |
//! | `outlet`, `outlets`, `provisional` | a path, ready to be written; the one to each destination; ways back that nothing authenticates |
//! | `cid` | connection ids: which handshake a packet is of |
//! | `answer` | handshake packets that are said again along a new way back |
//! | `parts` | packets in halves |
//! | `flow` | what goes and comes between two agents, by the clock |
//! | `prober`, `replay` | where all probes arrive; each counts once |
//! | `echo`, `packet` | round trips to any agent; single packets of ours beside a session's |

pub(crate) mod address;
mod answer;
pub(crate) mod cid;
pub(crate) mod echo;
pub(crate) mod flow;
pub(crate) mod outlet;
pub(crate) mod outlets;
mod packet;
pub(crate) mod parts;
pub(crate) mod prober;
mod provisional;
mod replay;
mod ring;
mod transmitting;
pub(crate) mod virtual_socket;

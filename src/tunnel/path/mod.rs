//! Whether a session's path is sound, and what is done while it is not.
//!
//! Lowest room of the tunnel: it sends nothing, and nothing here knows a connection.
//!
//! | file | what lives there |
//! |---|---|
//! | `doubt` | whether an opened session's path is trusted |
//! | `timing`, `pace`, `reach` | how long that takes; how often things are repeated meanwhile; how long an exit is waited for |
//! | `overdue`, `credit` | deadlines that our own lateness does not pass; what a peer may make us do |
//! | `probe`, `probing` | probes: their bytes and key; one session's schedule |
//! | `rescue` | the record of one failover while it happens |

pub(crate) mod credit;
pub(crate) mod doubt;
pub(crate) mod overdue;
pub(crate) mod pace;
pub(crate) mod probe;
pub(crate) mod probing;
pub(crate) mod reach;
pub(crate) mod rescue;
pub(crate) mod timing;

/// QUIC's smallest packet (RFC 9000 section 14): a path must carry this and the packet header.
pub(crate) const SMALLEST: u16 = 1_200;

//! Streams of a session: one per proxied connection, from its head to its last byte.
//!
//! A relay is one detached task per proxied connection, entered in the [`StreamTable`](crate::record::StreamTable).
//! Aborting it ends its connection.
//!
//! | file | what lives there |
//! |---|---|
//! | `exit_stream` | the seam between an ingress and the sessions that carry its streams |
//! | `framed`, `relay` | the head of a stream, its bytes |
//! | `notes`, `ledger` | a session's streams, and what both ends say beside them; what each may send |
//! | `urgency`, `turns` | which streams go first: those that send little; whose turn it is of the others |
//! | `window` | what one may have under way |
//! | `room` | how many an ingress may have open |

pub(crate) mod exit_stream;
pub(crate) mod framed;
mod ledger;
pub(crate) mod notes;
pub(crate) mod relay;
pub(crate) mod room;
mod turns;
mod urgency;
mod window;

pub(crate) use window::stream_window;

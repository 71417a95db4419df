//! A running agent: wiring and lifecycle.
//!
//! ```text
//!  SOCKS5 ─► ingress ─► sessions ─┐                        ┌─► session listener ─► exit ─► TCP
//!                                 ├─ virtual sockets ─ Fib ┤
//!  ports ─► receive loops ────────┘                        └─► next hop
//!    └─► link endpoint ─► drivers ─► control task (routing core) ─► Mesh ─► all of the above
//! ```
//!
//! Everything runs on one current-thread runtime: on few cores more threads cost 8 to 15 percent
//! (design section 5). Dropping the runtime ends the agent as SIGKILL would.

mod authority;
mod bind;
mod collector;
mod control;
mod error;
mod events;
mod explain;
mod health;
mod links;
mod logging;
mod mesh;
mod parts;
mod probe;
mod resolve;
mod routes;
mod run;
mod setup;
mod shutdown;
mod start;
mod status;
mod trace;

pub use error::StartError;
pub use parts::Parts;
pub use probe::probe;
pub use run::{RunError, run, runtime, wait_for_stop_signal};
pub use start::Agent;

//! A running agent: wiring and lifecycle.
//!
//! ```text
//!  SOCKS5 ─► ingress ─► sessions ─┐                        ┌─► session listener ─► exit ─► TCP
//!                                 ├─ virtual sockets ─ Fib ┤
//!  ports ─► receive loops ────────┘                        └─► next hop
//!    └─► link endpoint ─► drivers ─► control task (routing core) ─► Mesh ─► all of the above
//! ```
//!
//! Everything runs on one current-thread runtime: on few cores more threads cost 8 to 15 percent of
//! throughput (decision 0005). [`Agent`] owns the tasks that live as long as it does, and dropping it
//! aborts them. They may be aborted: what they hold is this process's own picture of the mesh, and
//! others take its links down by silence. Detached tasks (drivers of accepted links, steering,
//! following, streams, clients) end with their connections or with the runtime. Dropping the runtime
//! ends the agent as SIGKILL would.
//!
//! | file | what lives there |
//! |---|---|
//! | `run` | `warren run`: the runtime, signals |
//! | `parts` | what an agent is made of: file, identity, trust, epoch |
//! | `setup`, `bind`, `start` | what the rooms share, ports, everything started |
//! | `service` | what an agent does, each part with its tasks: control, links, exit, ingress, http |
//! | `lifecycle`, `operator` | the phase that an agent is in, and the task that does what it is asked for |
//! | `request`, `drain` | what it can be asked for, and how a drain goes on |
//! | `added` | routes that an exit is given while it runs |
//! | `reload`, `renewal`, `watch` | the file and the certificate read again, when asked for or when they change |
//! | `supervise`, `notify`, `own_file` | what a service manager and others on this host are told of the process |
//! | `embed` | agents inside another program, without sockets of the kernel |
//! | `control` | the task that owns the routing core and publishes the [`Mesh`](crate::routing::Mesh) |
//! | `authority` | the core's cryptography |
//! | `health` | from health checks to own routes |
//! | `readiness` | whether it can carry traffic |
//! | `status`, `reporter`, `weight`, `collector`, `process`, `events`, `explain`, `trace` | what the agent says of itself |
//! | `departed`, `skew` | names of agents that left; clocks that differ |
//! | `descriptors`, `memory` | how many connections, and how much in sessions, the host has room for |
//! | `probe` | whether a peer would take a link, for `warren check --connect` |
//! | `resolve` | names of peers |
//! | `logging`, `error` | logs; why an agent does not start |

mod added;
mod authority;
mod bind;
mod collector;
mod control;
mod departed;
mod descriptors;
mod distrust;
mod drain;
mod embed;
mod error;
mod events;
mod explain;
mod health;
mod lifecycle;
mod logging;
mod memory;
mod notify;
mod operator;
mod own_file;
mod parts;
mod prefixes;
mod probe;
mod process;
mod readiness;
mod reasons;
mod reload;
mod renewal;
mod reporter;
mod request;
mod resolve;
mod revoke_file;
mod run;
mod service;
mod setup;
mod skew;
mod start;
mod status;
mod supervise;
mod trace;
mod watch;
mod weight;

pub use embed::Surroundings;
pub use error::StartError;
pub use parts::Parts;
pub use probe::probe;
pub use run::{RunError, run, runtime, wait_for_stop_signal};
pub use start::Agent;

//! The loads: bulk transfers that check every byte, echoes, connect storms, idle connections, loads
//! that check themselves whatever breaks, and the servers that they talk to. Each is a library function and a subcommand that prints its
//! report as one JSON line, so that it can run inside a namespace.

pub mod bulk;
pub mod checked;
mod cli;
pub mod echo;
pub mod hold;
pub mod pattern;
pub mod ready;
pub mod rude;
pub mod serve;
pub mod socks;
pub mod storm;

pub use cli::{Workload, run};
pub use socks::{Proxy, Route, Target};

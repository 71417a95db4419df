//! The loads: streams that check themselves whatever breaks, new connections, echoes, storms, idle
//! connections, clients without manners, and the servers that they talk to. Each is a library function;
//! most are subcommands, too, which print a report as one JSON line.

pub mod attempt;
pub mod bulk;
pub mod checked;
mod cli;
pub mod echo;
pub mod hold;
pub mod pattern;
pub mod rude;
pub mod serve;
pub mod socks;
pub mod storm;

pub use attempt::{Attempt, Outcome};
pub use cli::{Workload, run};
pub use socks::{Proxy, Route, Target};

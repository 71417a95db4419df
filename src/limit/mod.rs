//! Limits on what strangers can make an agent do: how often each network may act, how many of a number
//! of places it may hold, and how often the log tells of it.
//!
//! The tables here are bounded, and what one network does costs no other: only a flood from more
//! networks than a table holds, within the few milliseconds that an entry lives, is felt by all.

mod network;
mod networks;
mod rate;
mod shares;
mod told;

pub use network::Network;
pub use networks::Networks;
pub use rate::{Bucket, Rates};
pub use shares::{CLIENTS, MEMBERS, Rule, STRANGERS, Share, Shares};
pub use told::Told;

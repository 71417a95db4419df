//! Loads that check themselves: whatever happens to the mesh below, the report says how many bytes
//! arrived, that they are an exact prefix of what was sent, and what became of each connection.
//!
//! A load never fails because of the mesh: what breaks is counted, what is wrong is listed. Streams
//! are chained (see [`chain`]) and end with a record of their own, so a connection that was
//! cut is told from one that ended. The other side is [`Service::Checked`](super::serve::Service).
//!
//! | file | what lives there |
//! |---|---|
//! | [`chain`] | the records, and the checker that proves them |
//! | [`flow`] | sending and receiving a chained stream at a pace |
//! | `protocol` | what a client asks for, what the target answers |
//! | `client`, `serve` | the two sides of one connection |
//! | [`Watch`] | one connection as somebody sees it who is neither of its ends |
//! | [`Ledger`] | what both ends know of each other in one process |
//! | [`report`], `histogram` | what was seen, and durations by size |
//! | `run` | all connections of a load |

pub mod chain;
mod client;
pub mod flow;
pub mod histogram;
mod ledger;
mod protocol;
pub mod report;
mod run;
mod serve;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use client::carry;
pub use histogram::Histogram;
pub use ledger::Ledger;
pub use protocol::Answer;
pub use report::{Ending, Outcomes, Report, Seen};
pub use run::run;
pub(super) use serve::serve;
pub use watch::Watch;

use super::socks::{Route, Target};
use crate::units::Rate;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A chained stream from the target.
    Download,
    /// A chained stream to the target, which says what it checked.
    Upload,
    /// Both at once.
    Both,
    /// Requests, one after the other, each answered by a record of the length asked for.
    Request,
    /// An upload, then the end of the client's side, and only then a download.
    HalfClose,
    /// A download that is read no faster than the rate, and sent as fast as it goes. What is under
    /// way when its time is over is read as fast as it comes.
    SlowReader,
    /// One short request on each of many connections.
    Storm,
}

/// A load.
#[derive(Clone, Debug)]
pub struct Plan {
    pub route: Route,
    /// A server of [`Service::Checked`](super::serve::Service).
    pub target: Target,
    pub kind: Kind,
    pub connections: u32,
    /// Connections under way at once; further ones begin when one ends.
    pub concurrent: u32,
    /// Data bytes of each connection and direction, at most.
    pub bytes: u64,
    /// After this, senders end their streams and no connection begins.
    pub time: Duration,
    /// How much longer a connection may take to drain before it counts as broken.
    pub grace: Duration,
    /// Of each stream. `None`: as fast as it goes.
    pub rate: Option<Rate>,
    /// Connection `n` adds `n`, so that mixed-up streams show.
    pub seed: u64,
    /// The target's, if it is in this process: it knows what arrived of an upload that broke.
    /// Without it such an upload counts no bytes.
    pub ledger: Option<Arc<Ledger>>,
}

/// What is in flight may be MiB; through a mesh that fails over it arrives within seconds.
const GRACE: Duration = Duration::from_secs(10);

impl Plan {
    /// One connection without limits but the time.
    pub fn new(route: Route, target: Target, kind: Kind, time: Duration) -> Self {
        Self {
            route,
            target,
            kind,
            connections: 1,
            concurrent: u32::MAX,
            bytes: u64::MAX,
            time,
            grace: GRACE,
            rate: None,
            seed: 0,
            ledger: None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("none is left out");
        f.write_str(value.get_name())
    }
}

#[cfg(test)]
mod tests;

//! What is told of a drain.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A drain under way, in `/healthz` and in the answers to `/api/drain` and `/api/undrain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainView {
    pub stage: DrainStage,
    /// Connections that are left, those included that are not established yet.
    pub connections: usize,
    /// Until what is left is reset, seconds; 0 once the agent is drained.
    pub left_s: u64,
    /// Connections that were reset at the timeout.
    pub cut: usize,
}

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DrainStage {
    /// Checks fail; clients are still served.
    Noticed,
    /// Nothing new is taken.
    Emptying,
    /// Nothing is left.
    Drained,
}

impl fmt::Display for DrainView {
    /// One sentence without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = match self.connections {
            0 => "no connection is left".to_owned(),
            1 => "1 connection is left".to_owned(),
            count => format!("{count} connections are left"),
        };
        match self.stage {
            DrainStage::Noticed => write!(f, "draining: clients are still served; {left}"),
            DrainStage::Emptying => write!(f, "draining: {left}, reset in {} s", self.left_s),
            DrainStage::Drained if self.cut > 0 => {
                write!(f, "drained: connections that were reset: {}", self.cut)
            }
            DrainStage::Drained => f.write_str("drained"),
        }
    }
}

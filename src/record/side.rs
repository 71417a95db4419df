//! The two ends of a session and of its streams.

use serde::{Deserialize, Serialize};

/// Which end this agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// It opens sessions; the TCP connections of their streams are SOCKS5 clients'.
    Ingress,
    /// It accepts them; the TCP connections are targets'.
    Exit,
}

impl Side {
    /// The side as metrics and logs name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Exit => "exit",
        }
    }
}

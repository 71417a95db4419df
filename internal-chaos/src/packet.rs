//! A UDP packet on its way between a client and a server, and which way that is.
//!
//! The client is whoever dials: it sends to the relay. The server is where the relay sends to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    ToServer,
    ToClient,
}

/// One direction, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ways {
    ToServer,
    ToClient,
    Both,
}

/// A packet's payload, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The client's number: packets of one flow share their addresses.
    pub flow: u64,
    pub payload: Vec<u8>,
}

/// QUIC's fixed bit (RFC 9000 section 17): set in the packets of a link's own connection, clear in
/// warren's forwarded ones (`docs/wire-format.md`).
const FIXED_BIT: u8 = 0x40;

/// What a packet belongs to, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plane {
    /// QUIC between two neighbours: handshakes, heartbeats, control messages.
    Link,
    /// Packets that agents forward: sessions between ingresses and exits, and echoes.
    Data,
}

impl Direction {
    pub const ALL: [Self; 2] = [Self::ToServer, Self::ToClient];
}

impl Ways {
    pub fn covers(self, direction: Direction) -> bool {
        match self {
            Self::Both => true,
            Self::ToServer => direction == Direction::ToServer,
            Self::ToClient => direction == Direction::ToClient,
        }
    }
}

impl From<Direction> for Ways {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::ToServer => Self::ToServer,
            Direction::ToClient => Self::ToClient,
        }
    }
}

impl Plane {
    /// `None` for an empty packet.
    pub fn of(payload: &[u8]) -> Option<Self> {
        let first = payload.first()?;
        Some(if first & FIXED_BIT == 0 {
            Self::Data
        } else {
            Self::Link
        })
    }
}

impl fmt::Display for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToServer => "to-server",
            Self::ToClient => "to-client",
            Self::Both => "both",
        })
    }
}

impl FromStr for Ways {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "to-server" => Ok(Self::ToServer),
            "to-client" => Ok(Self::ToClient),
            "both" => Ok(Self::Both),
            _ => Err(format!("`{text}` is not to-server, to-client or both")),
        }
    }
}

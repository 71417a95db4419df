//! What can happen, in the one shape that the journal keeps, the API writes, commands read, and the
//! log tells.
//!
//! Its JSON is part of `/api/events`: fields and kinds are added, never renamed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::side::Side;
use crate::identity::AgentId;
use crate::routing::SwitchCause;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    LinkUp {
        peer: AgentId,
    },
    /// Heartbeats are late: new paths avoid the link.
    LinkSuspect {
        peer: AgentId,
    },
    /// A suspected link was heard again.
    LinkCleared {
        peer: AgentId,
    },
    LinkDown {
        peer: AgentId,
        reason: String,
    },
    SessionOpened {
        side: Side,
        peer: AgentId,
    },
    SessionEnded {
        side: Side,
        peer: AgentId,
        reason: String,
    },
    Failover(Failover),
    /// The stall of an earlier failover became known.
    Recovered {
        /// The failover's number.
        failover: u64,
        #[serde(rename = "stall_ms", with = "millis")]
        stall: Duration,
    },
    /// A health check of this exit went down.
    HealthDown {
        check: String,
        /// Of its last failure.
        reason: String,
        /// Routes that are withdrawn by it; at most the first 32.
        routes: Vec<String>,
        /// All of them.
        route_count: usize,
    },
    /// A health check of this exit went up.
    HealthUp {
        check: String,
        /// Routes that are advertised from now on; at most the first 32.
        routes: Vec<String>,
        /// All of them.
        route_count: usize,
    },
    /// An agent's advertisement was refused for its date.
    ClockSkew {
        peer: AgentId,
        /// Of this host's clock; negative: behind.
        ahead_ms: i64,
    },
    /// This host's clock was set.
    ClockSet {
        /// Of what it showed before; negative: back.
        ahead_ms: i64,
    },
    /// A kind that this release does not know.
    #[serde(other)]
    Unknown,
}

/// A session that moved to another path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failover {
    /// Which end of the session this agent is.
    pub side: Side,
    /// The other end.
    pub peer: AgentId,
    /// As in `warren_failovers_total{cause}`.
    pub cause: Cause,
    /// Each hop of the old path, the other end last.
    pub from: Vec<AgentId>,
    /// Each hop of the new path.
    pub to: Vec<AgentId>,
    /// From the last sign of life of the old path until it was doubted; `None`: no silence led to
    /// the move.
    #[serde(rename = "detection_ms", default, with = "optional_millis")]
    pub detected: Option<Duration>,
    /// The longest gap between two arrivals around the move; `None`: nothing was on its way, or
    /// nothing has arrived yet.
    #[serde(rename = "stall_ms", default, with = "optional_millis")]
    pub stall: Option<Duration>,
    /// Bytes sent and not acknowledged at the move.
    #[serde(rename = "in_flight_bytes")]
    pub in_flight: u64,
}

/// Why a session moved. A command may read of one that only a later release knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cause {
    Known(SwitchCause),
    Later(String),
}

impl Event {
    /// The other agent, if it is about one.
    pub fn peer(&self) -> Option<AgentId> {
        match self {
            Self::LinkUp { peer }
            | Self::LinkSuspect { peer }
            | Self::LinkCleared { peer }
            | Self::LinkDown { peer, .. }
            | Self::SessionOpened { peer, .. }
            | Self::SessionEnded { peer, .. }
            | Self::ClockSkew { peer, .. } => Some(*peer),
            Self::Failover(failover) => Some(failover.peer),
            Self::Recovered { .. }
            | Self::HealthDown { .. }
            | Self::HealthUp { .. }
            | Self::ClockSet { .. }
            | Self::Unknown => None,
        }
    }
}

impl Cause {
    /// The cause as metrics and logs name it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(cause) => cause.as_str(),
            Self::Later(cause) => cause,
        }
    }
}

/// Times as milliseconds.
mod millis {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64() * 1_000.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let millis = f64::deserialize(from)?;
        Duration::try_from_secs_f64(millis / 1_000.0).map_err(Error::custom)
    }
}

/// Times that may be missing as milliseconds or `null`.
mod optional_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Millis(#[serde(with = "super::millis")] Duration);

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Millis).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let millis = Option::<Millis>::deserialize(from)?;
        Ok(millis.map(|Millis(time)| time))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failover(cause: &str) -> serde_json::Value {
        let [one, two] = [[1; 16], [7; 16]].map(|id| AgentId(id).to_string());
        json!({
            "kind": "failover", "side": "ingress", "peer": two, "cause": cause,
            "from": [one, two], "to": [two], "detection_ms": 150.5, "stall_ms": null,
            "in_flight_bytes": 12_288,
        })
    }

    #[test]
    fn a_failover_is_written_as_it_was_always_read() {
        let json = failover("link_down");
        let read: Event = serde_json::from_value(json.clone()).unwrap();
        let Event::Failover(failover) = &read else {
            panic!("{read:?}");
        };
        assert_eq!(failover.cause, Cause::Known(SwitchCause::LinkDown));
        assert_eq!(failover.detected, Some(Duration::from_micros(150_500)));
        assert_eq!((failover.stall, failover.in_flight), (None, 12_288));
        assert_eq!(serde_json::to_value(read).unwrap(), json);
    }

    #[test]
    fn every_cause_is_read_as_it_is_written_and_one_of_a_later_release_too() {
        for cause in SwitchCause::ALL {
            let read: Event = serde_json::from_value(failover(cause.as_str())).unwrap();
            let Event::Failover(read) = read else {
                panic!("{read:?}");
            };
            assert_eq!(read.cause, Cause::Known(cause));
        }
        let json = failover("moonlight");
        let read: Event = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), json);
    }
}

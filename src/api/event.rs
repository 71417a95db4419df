//! The JSON shape of `/api/events`. Fields are added, never renamed.

use serde::{Deserialize, Serialize};

use crate::record::Event;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventView {
    /// Grows with time, from 1 at the start of the process.
    pub number: u64,
    /// RFC 3339, UTC, milliseconds.
    pub at: String,
    /// What the agent in `peer` calls itself, or did before it left; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_name: Option<String>,
    #[serde(flatten)]
    pub what: Event,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_of_a_later_release_does_not_spoil_the_list() {
        let list = json!([
            { "number": 1, "at": "2025-11-21T10:00:00.025Z", "kind": "moon_landing", "crew": 3 },
            { "number": 2, "at": "2025-11-21T10:00:00.026Z", "kind": "recovered",
              "failover": 1, "stall_ms": 2 },
        ]);
        let list: Vec<EventView> = serde_json::from_value(list).unwrap();
        assert_eq!(list[0].what, Event::Unknown);
        let (failover, stall) = (1, Duration::from_millis(2));
        assert_eq!(list[1].what, Event::Recovered { failover, stall });
    }
}

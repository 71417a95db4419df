//! The setting of `connections.heartbeat` that the drill varies.

use std::time::Duration;

use serde_json::json;

use crate::mesh::Settings;

/// A setting of `connections.heartbeat`; `None` leaves the whole section to its defaults.
pub type Heartbeat = Option<Duration>;

/// The keys of all agents' configuration that set a heartbeat.
pub fn keys(heartbeat: Heartbeat) -> Settings {
    let section = heartbeat.map(|_| json!({ "heartbeat": heartbeat_name(heartbeat) }));
    let section = section.map(|section| ("connections".to_owned(), section));
    section.into_iter().collect()
}

/// As the tables have it.
pub fn heartbeat_name(heartbeat: Heartbeat) -> String {
    heartbeat.map_or_else(
        || "default".to_owned(),
        |heartbeat| format!("{}ms", heartbeat.as_millis()),
    )
}

/// Reads what [`heartbeat_name`] writes.
pub fn parse_heartbeat(text: &str) -> Result<Heartbeat, String> {
    if text == "default" {
        return Ok(None);
    }
    let millis = text.strip_suffix("ms").and_then(|text| text.parse().ok());
    let millis = millis.ok_or_else(|| format!("`{text}` is neither `default` nor like `50ms`"))?;
    Ok(Some(Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_parse_back() {
        for heartbeat in [None, Some(Duration::from_millis(50))] {
            let name = heartbeat_name(heartbeat);
            assert_eq!(parse_heartbeat(&name), Ok(heartbeat));
        }
        assert!(parse_heartbeat("50").is_err());
    }
}

//! What an agent has at some time: memory and descriptors as `/proc` tells, tasks and streams as
//! its metrics do.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use super::super::record::millis;
use crate::http;
use crate::procstat;

/// The longest that one answer may take: a stopped agent gives none.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// One agent at one time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// From the beginning of the soak.
    #[serde(serialize_with = "millis")]
    pub at: Duration,
    /// From 1 on.
    pub cycle: usize,
    pub phase: Phase,
    pub agent: String,
    /// Another process is another life.
    pub pid: u32,
    pub size: Size,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Load,
    /// The load is over, all faults are undone, the mesh is whole, some seconds have passed.
    Quiet,
}

/// What one process has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Resident.
    pub memory_bytes: u64,
    pub descriptors: u64,
    /// Of its runtime; `None`: it did not answer.
    pub tasks: Option<u64>,
    /// Open proxied connections; `None`: it did not answer.
    pub streams: Option<u64>,
}

impl Size {
    /// Looks at a process whose metrics are at `http`. `None` if the process is gone.
    pub(super) async fn of(pid: u32, http: SocketAddr) -> Option<Self> {
        let metrics = timeout(ANSWER_LIMIT, http::get(http, "/metrics")).await;
        let metrics = metrics.ok().and_then(Result::ok);
        let text = metrics.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
        let metric = |name| text.as_deref().and_then(|text| metric(text, name));
        let (memory_bytes, descriptors) = procstat::size(pid)?;
        Some(Self {
            memory_bytes,
            descriptors,
            tasks: metric("warren_tasks"),
            streams: metric("warren_streams"),
        })
    }
}

/// The value of a metric without labels.
fn metric(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.strip_prefix(' ')
    })?;
    value.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_by_their_whole_names() {
        let text = "# TYPE warren_tasks gauge\nwarren_tasks_ever 9\nwarren_tasks 41\nx 1\n";
        assert_eq!(metric(text, "warren_tasks"), Some(41));
        assert_eq!(metric(text, "warren_streams"), None);
    }
}

//! The words of what is wrong though traffic flows.

use crate::identity::AgentId;
use crate::link::PeerStatus;
use crate::routing::Mesh;

/// Destinations named in one `degraded` reason; more are counted.
const NAMED: usize = 5;

/// With its last known name and the last error, as far as there are any.
pub(super) fn not_linked(id: AgentId, name: Option<&str>, peer: &PeerStatus) -> String {
    let who = named(id, name);
    let error = peer.last_error.as_deref();
    let error = error.map_or_else(String::new, |error| format!(": {error}"));
    format!("peer {who} is not linked{error}")
}

/// `id (name)`.
pub(super) fn named(id: AgentId, name: Option<&str>) -> String {
    let name = name.filter(|name| !name.is_empty());
    name.map_or_else(|| id.to_string(), |name| format!("{id} ({name})"))
}

pub(super) fn short_of_windows(mesh: &Mesh, peer: AgentId) -> String {
    let agent = mesh.table.path_table().graph().agent(peer);
    let name = agent.map_or_else(String::new, |agent| format!(" ({})", agent.display_name));
    format!(
        "connections that are not read hold most of the window of the session with {peer}{name}; \
         others get a small share each"
    )
}

/// Names what hangs by one agent or link. Counted once per mesh, because health is asked for often.
pub(super) fn single_path(mesh: &Mesh) -> Option<String> {
    let count = mesh.table.counts().single_path;
    if count == 0 {
        return None;
    }
    let shown = mesh.table.single_path().take(NAMED);
    let shown: Vec<String> = shown.map(|destination| destination.to_string()).collect();
    let shown = shown.join(", ");
    Some(match count.saturating_sub(NAMED) {
        0 => format!("one path left to {shown}"),
        more => format!("one path left to {shown} and {more} more"),
    })
}

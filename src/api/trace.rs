//! The JSON shape of `/api/trace`. As with the others: fields are added, never renamed.

use serde::{Deserialize, Serialize};

use crate::identity::AgentId;

/// `/api/trace`: the ways to a destination, measured hop by hop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceView {
    /// The address or name as asked.
    pub dest: String,
    /// Where a new connection leaves the mesh; `null`: no route.
    pub exit: Option<AgentId>,
    /// Each hop of a new connection's path, the exit last; empty if this agent is the exit, or
    /// there is no route.
    pub path: Vec<HopView>,
    /// The path held ready; `null`: there is none.
    pub alternate: Option<Vec<HopView>>,
    /// The open session with the exit, which new connections share; `null`: none is open.
    pub session: Option<SessionView>,
}

/// One agent of a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HopView {
    pub id: AgentId,
    /// What the agent calls itself; `null` if no advertisement of it is known.
    pub display_name: Option<String>,
    /// Round trips from here to the agent along the path; `null` if no echo came back.
    pub rtt_ms: Option<RttView>,
    /// Echoes sent.
    pub sent: u32,
    /// Echoes without an answer.
    pub lost: u32,
    /// New paths avoid the agent or the link to it.
    pub suspect: bool,
    /// The agent is leaving.
    pub draining: bool,
}

/// Round trips of several echoes, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RttView {
    pub min: f64,
    pub avg: f64,
    pub max: f64,
}

/// An open session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionView {
    /// Each hop of the path in use, which may be another than a new session would choose.
    pub path: Vec<HopView>,
    /// Round trip by the session's own last answered probe.
    pub rtt_ms: Option<f64>,
    /// Its path may be dead.
    pub suspect: bool,
    /// Its packets take the alternate too.
    pub mirroring: bool,
    /// Its probes that were not answered though later ones of the same path were.
    pub probes_lost: u64,
}

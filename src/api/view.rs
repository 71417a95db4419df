//! The JSON shapes. Field names and units are a promise: fields are added, never renamed.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DrainView;
use crate::clock::format_date;
use crate::identity::{AgentId, Member};

/// Whether an agent can carry traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Healthy,
    /// Carries traffic; the reasons name what lost its redundancy or is about to expire.
    Degraded,
    /// Finishes what is open and takes nothing new.
    Draining,
    /// No live link or no usable route.
    Unavailable,
}

impl Status {
    /// The condition behind `200` on `/healthz` and `READY` on `/ready`.
    pub fn carries_traffic(self) -> bool {
        match self {
            Self::Healthy | Self::Degraded => true,
            Self::Draining | Self::Unavailable => false,
        }
    }
}

/// `/healthz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "HealthJson", from = "HealthJson")]
pub struct Health {
    pub status: Status,
    pub agent_id: AgentId,
    pub display_name: String,
    pub version: String,
    pub uptime_s: u64,
    /// Live links.
    pub peers: usize,
    /// Usable prefixes and domains.
    pub routes: usize,
    /// Connections under way.
    pub streams: usize,
    pub socks5_running: bool,
    pub exit_handler_running: bool,
    /// `None`: no drain is under way.
    pub drain: Option<DrainView>,
    /// Why the status is not `healthy`; each is one sentence.
    pub reasons: Vec<String>,
}

/// The JSON form of [`Health`]: existing checks read the counts by either of two names.
#[derive(Serialize, Deserialize)]
struct HealthJson {
    status: Status,
    /// Always true: a process that is not running does not answer.
    running: bool,
    agent_id: AgentId,
    display_name: String,
    version: String,
    uptime_s: u64,
    peers: usize,
    peer_count: usize,
    routes: usize,
    route_count: usize,
    stream_count: usize,
    socks5_running: bool,
    exit_handler_running: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drain: Option<DrainView>,
    reasons: Vec<String>,
}

impl From<Health> for HealthJson {
    fn from(health: Health) -> Self {
        Self {
            status: health.status,
            running: true,
            agent_id: health.agent_id,
            display_name: health.display_name,
            version: health.version,
            uptime_s: health.uptime_s,
            peers: health.peers,
            peer_count: health.peers,
            routes: health.routes,
            route_count: health.routes,
            stream_count: health.streams,
            socks5_running: health.socks5_running,
            exit_handler_running: health.exit_handler_running,
            drain: health.drain,
            reasons: health.reasons,
        }
    }
}

impl From<HealthJson> for Health {
    fn from(json: HealthJson) -> Self {
        Self {
            status: json.status,
            agent_id: json.agent_id,
            display_name: json.display_name,
            version: json.version,
            uptime_s: json.uptime_s,
            peers: json.peer_count,
            routes: json.route_count,
            streams: json.stream_count,
            socks5_running: json.socks5_running,
            exit_handler_running: json.exit_handler_running,
            drain: json.drain,
            reasons: json.reasons,
        }
    }
}

/// State of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    Up,
    /// Heartbeats are late: new connections avoid it.
    Suspect,
    Down,
    /// The first attempt has not ended.
    Connecting,
}

/// Who opened a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Dialled,
    Accepted,
}

/// One entry of `/api/peers`: a configured peer or an accepted link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerView {
    pub id: AgentId,
    /// What the peer calls itself, or did when it was linked last; `null` before its first link.
    pub display_name: Option<String>,
    /// Where it is dialled, or where its link comes from.
    pub address: String,
    pub state: PeerState,
    pub direction: Direction,
    /// Smoothed round trip of the link; `null` until measured.
    pub rtt_ms: Option<f64>,
    /// The larger of both sides' costs; the file's while it is not linked.
    pub cost: u32,
    /// Largest UDP payload known to pass, bytes; `null` while none is known.
    pub mtu: Option<u16>,
    /// Seconds since the link came up; `null` while it is not up.
    pub uptime_s: Option<u64>,
    /// Protocol version the peer speaks; `null` while it is not linked.
    pub protocol: Option<u16>,
    /// Why the link went down or cannot be made.
    pub last_error: Option<String>,
}

/// What a route names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    Prefix,
    Domain,
}

/// One entry of `/api/routes`: a prefix or domain with one exit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteView {
    pub kind: RouteKind,
    /// CIDR, or a domain pattern.
    pub destination: String,
    pub exit: AgentId,
    pub exit_name: String,
    /// The exit's base metric and the path's cost.
    pub metric: u32,
    /// Length of `path`.
    pub hops: usize,
    /// Each hop, the exit last; empty if this agent is the exit.
    pub path: Vec<AgentId>,
    /// Sum of the links' round trips; `null` until measured.
    pub rtt_ms: Option<f64>,
    /// The path held ready for the day `path` dies.
    pub alternate: Option<Vec<AgentId>>,
    /// New connections to this destination take this exit.
    pub chosen: bool,
    /// This agent is the exit, and was given the route while it ran.
    #[serde(default)]
    pub added: bool,
}

/// One entry of `/api/streams`: a proxied connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamView {
    /// Unique in the life of the process.
    pub id: u64,
    /// The agent that the client connected to.
    pub ingress: AgentId,
    /// The agent that the target sees.
    pub exit: AgentId,
    /// The client's address; `null` where this agent is not the ingress.
    pub client: Option<String>,
    /// `host:port` as the client asked.
    pub target: String,
    /// Each hop from this agent to the other end.
    pub path: Vec<AgentId>,
    pub age_s: u64,
    /// Bytes from the client to the target.
    pub bytes_up: u64,
    /// Bytes from the target to the client.
    pub bytes_down: u64,
}

/// One entry of `/api/sessions`: a member that has a session with this agent's exit, as its handshake
/// has proven it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    pub ingress: AgentId,
    /// What a mesh CA says that it belongs to.
    pub groups: Vec<String>,
    /// `ingress`, `transit`, `exit`: what its certificate lets it be.
    pub roles: Vec<String>,
    /// Last second of its certificate, RFC 3339 in UTC.
    pub not_after: String,
    pub age_s: u64,
}

impl MemberView {
    /// Of a session that has lasted so long at `unix_time` (seconds).
    pub fn new(member: &Member, age: Duration, unix_time: u64) -> Self {
        let groups = member.groups(unix_time).iter();
        Self {
            ingress: member.id,
            groups: groups.map(ToString::to_string).collect(),
            roles: member.roles.names().map(str::to_owned).collect(),
            not_after: format_date(member.credential.not_after),
            age_s: age.as_secs(),
        }
    }
}

/// `/api/topology`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopologyView {
    pub agents: Vec<AgentView>,
    pub edges: Vec<EdgeView>,
    /// Agents that left, at most the last 1,024: events and errors may still tell of them.
    #[serde(default)]
    pub departed: Vec<DepartedView>,
}

/// An agent that was in the mesh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DepartedView {
    pub id: AgentId,
    /// What it called itself.
    pub display_name: String,
}

/// One agent of the mesh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    pub id: AgentId,
    pub display_name: String,
    /// The agent that answers.
    pub this: bool,
    /// Relays for others.
    pub transit: bool,
    pub draining: bool,
    /// Prefixes and domains it advertises.
    pub routes: usize,
    /// Numbers of the feature bits that it advertises, ascending, also those that this release does not
    /// know; `null`: its release does not tell.
    #[serde(default)]
    pub features: Option<Vec<u8>>,
}

/// One link, as both of its ends advertise it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeView {
    /// The smaller id.
    pub a: AgentId,
    pub b: AgentId,
    /// The larger of both claims.
    pub cost: u32,
    /// By its class, so right within a factor of two; `null` until measured.
    pub rtt_ms: Option<f64>,
    /// Largest UDP payload known to pass, bytes.
    pub mtu: Option<u16>,
}

/// `/api/explain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainView {
    /// The address or name as asked.
    pub dest: String,
    /// The address that the name has, where no domain route covers it: whose routes count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<IpAddr>,
    /// What a new connection takes; `null`: no route.
    pub chosen: Option<ChosenView>,
    /// Every exit that advertises a matching prefix or domain, the most specific first.
    pub candidates: Vec<CandidateView>,
}

/// The exit and path that a new connection takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChosenView {
    pub exit: AgentId,
    /// Each hop, the exit last; empty if this agent is the exit.
    pub path: Vec<AgentId>,
    pub metric: u32,
    pub rtt_ms: f64,
}

/// One exit that was considered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateView {
    pub exit: AgentId,
    /// Each hop, the exit last; empty if no path leads there.
    pub path: Vec<AgentId>,
    pub metric: u32,
    /// The prefix or domain pattern that the exit advertises.
    pub prefix: String,
    /// Why it was not chosen; `null` for the chosen one.
    pub rejected: Option<String>,
}

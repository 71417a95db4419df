//! The typed configuration. Loading fills it; every field here is enforced by somebody.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::limits::Limits;
use super::scalar;
use super::value::{HostPort, PasswordHash};
use crate::identity::{AgentId, DomainPattern, Pem, Revocations, Warning};

/// One agent's configuration. Paths are absolute or relative to the process's folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub agent: Agent,
    pub tls: Tls,
    /// Agent ids accepted without the CA (`trust.allow`).
    pub allow: BTreeSet<AgentId>,
    /// Who is trusted no more (`trust.revoke`).
    pub revoke: Revocations,
    /// The same, a line each, read again when it changes (`trust.revoke_file`).
    pub revoke_file: Option<PathBuf>,
    /// Where neighbours may dial us. Empty: dial-only.
    pub listeners: Vec<Listener>,
    pub peers: Vec<Peer>,
    /// Present: this agent is an ingress.
    pub socks5: Option<Socks5>,
    /// Present: this agent is an exit.
    pub exit: Option<Exit>,
    pub routing: Routing,
    pub connections: Connections,
    pub http: Option<Http>,
    pub drain: Drain,
    pub limits: Limits,
    /// Files beside `tls.key` that hold secrets: those of hashes, and this one if a private key stands in it.
    pub secret_files: BTreeSet<PathBuf>,
}

impl Config {
    /// Whether a CA says who belongs to the mesh.
    pub fn has_ca(&self) -> bool {
        self.tls.ca.is_some() || self.peers.iter().any(|peer| peer.ca.is_some())
    }

    /// The files that were read for it, and are read for it again, beside itself.
    pub fn files(&self) -> BTreeSet<PathBuf> {
        let peers = self.peers.iter().filter_map(|peer| peer.ca.as_ref());
        let pair = self.tls.cert_and_key.iter();
        let pair = pair.flat_map(|(certificate, key)| [certificate, key]);
        let pems = self.tls.ca.iter().chain(pair).chain(peers);
        let pems = pems.filter_map(|pem| pem.file().map(Path::to_owned));
        pems.chain(self.secret_files.iter().cloned()).collect()
    }

    /// What the operator should hear about the files that hold secrets; of `tls.key` its reader tells.
    pub fn warnings(&self) -> Vec<Warning> {
        let files = self.secret_files.iter();
        files
            .filter_map(|file| Warning::of_secret_file(file))
            .collect()
    }

    /// Ids that are trusted whatever their certificates say. A peer's own is among them only where
    /// there is no CA: beside one it says who must answer, and no more.
    pub fn pinned(&self) -> BTreeSet<AgentId> {
        let peers = self.peers.iter().map(|peer| peer.id);
        let peers = peers.filter(|_| !self.has_ca());
        self.allow.iter().copied().chain(peers).collect()
    }

    /// What is listened at for TCP, and the section or key that says so.
    pub fn tcp_ports(&self) -> Vec<(&'static str, SocketAddr)> {
        let (socks5, http) = (self.socks5.as_ref(), self.http.as_ref());
        let checks = http.and_then(|http| http.agent_check);
        let ports = [
            ("socks5", socks5.map(|socks5| socks5.address)),
            ("http", http.map(|http| http.address)),
            ("http.agent_check", checks),
        ];
        let ports = ports.into_iter();
        ports.filter_map(|(name, at)| Some((name, at?))).collect()
    }
}

/// The `agent` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// The id the file insists on; `None` is `auto`.
    pub id: Option<AgentId>,
    /// `None`: the first 8 hex digits of the id.
    pub display_name: Option<String>,
    pub data_dir: PathBuf,
    /// A level or a tracing filter directive.
    pub log_level: String,
    pub log_format: LogFormat,
    /// Reload when this file or a CA's changes.
    pub watch: bool,
}

/// `agent.log_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// The `tls` section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// The mesh CA.
    pub ca: Option<Pem>,
    /// The agent's own certificate and key; `None`: self-signed in `data_dir`.
    pub cert_and_key: Option<(Pem, Pem)>,
}

/// One entry of `listeners`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
}

/// One entry of `peers`.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    pub id: AgentId,
    pub address: HostPort,
    /// At least 1.
    pub cost: u32,
    /// Overrides `tls.ca` for this peer.
    pub ca: Option<Pem>,
}

/// The `socks5` section of an enabled ingress.
#[derive(Clone, Debug, PartialEq)]
pub struct Socks5 {
    pub address: SocketAddr,
    /// `None`: no authentication. `Some`: one of these users, always.
    pub users: Option<Vec<User>>,
    pub max_connections: usize,
    /// How long a request whose destination had a route lately waits for one. Zero: not at all.
    pub route_wait: Duration,
    /// The agents that are asked to resolve names, whatever their certificates say. Empty: those whose
    /// certificates let them.
    pub resolvers: Vec<AgentId>,
    /// Load balancers, whose connections begin with a header of the PROXY protocol, and nobody else's.
    pub balancers: Vec<IpNet>,
}

/// One entry of `socks5.auth.users`.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    pub username: String,
    pub password_hash: PasswordHash,
}

/// The `exit` section of an enabled exit.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// Without duplicates and host bits. `routes` and `domain_routes` are not both empty.
    pub routes: Vec<IpNet>,
    pub domain_routes: Vec<DomainPattern>,
    pub dns: Dns,
    pub connect_timeout: Duration,
    /// Special ranges (loopback and the like) that a route which is broader than they are includes.
    pub allow_special: Vec<IpNet>,
    /// Names are distinct. At most `limits.health_checks`.
    pub health_checks: Vec<HealthCheck>,
}

/// One entry of `exit.health_checks`.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    pub name: String,
    pub target: HealthTarget,
    pub interval: Duration,
    /// Not longer than `interval`.
    pub timeout: Duration,
    /// Failures in a row until the check is down, at least 1.
    pub fall: u32,
    /// Successes in a row until it is up again, at least 1.
    pub rise: u32,
    pub guards: Guards,
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthTarget {
    /// A connection is enough.
    Tcp(HostPort),
    /// A GET, without TLS.
    Http {
        host: HostPort,
        /// With its query, beginning with a slash.
        path: String,
        /// The only status that is good; `None`: 2xx and 3xx are.
        status: Option<u16>,
    },
}

/// The routes that are advertised only while a health check is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guards {
    All,
    /// Each is one of the exit's own.
    These(Vec<Route>),
}

/// One route of an exit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    Prefix(IpNet),
    Domain(DomainPattern),
}

/// `exit.dns`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// Empty: the system's resolver configuration.
    pub servers: Vec<SocketAddr>,
    pub timeout: Duration,
}

/// The `routing` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Routing {
    pub advertise_interval: Duration,
    /// Longer than `advertise_interval`.
    pub route_ttl: Duration,
    /// 1..=15.
    pub max_hops: u8,
    pub balance: Balance,
    /// Whether this agent relays for others.
    pub transit: bool,
}

/// `routing.balance`: how new connections spread over exits of equal metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    LowestMetric,
    RoundRobin,
    LeastStreams,
}

/// The `connections` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Connections {
    /// 20 ms to 10 s.
    pub heartbeat: Duration,
    /// Missed heartbeats until a link is down, 2..=100.
    pub dead_after: u32,
    pub congestion: Congestion,
    pub reconnect: Reconnect,
}

/// `connections.congestion`: what bounds the bytes of a session in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Congestion {
    /// A model of the path's rate and round trip.
    Bbr,
    /// Losses (RFC 9438).
    Cubic,
}

/// `connections.reconnect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconnect {
    pub initial_delay: Duration,
    /// At least `initial_delay`.
    pub max_delay: Duration,
    /// At least 1.
    pub multiplier: f64,
    /// Fraction of the delay, 0..=1.
    pub jitter: f64,
    /// `None`: for ever.
    pub max_retries: Option<u32>,
}

/// The `drain` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long connections may live on once nothing new is taken. Zero: not at all.
    pub timeout: Duration,
    /// How long clients are still served after checks began to fail.
    pub notice: Duration,
}

/// The `http` section of an agent that serves it.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    pub address: SocketAddr,
    /// Hash of the bearer token that management takes from everybody; `None`: loopback only.
    pub token_hash: Option<PasswordHash>,
    /// With a token: loopback needs none.
    pub trust_loopback: bool,
    pub socket: ApiSocket,
    /// Where HAProxy asks with `agent-check`.
    pub agent_check: Option<SocketAddr>,
    /// It hears a weight there, too.
    pub agent_check_weight: bool,
}

/// Where the operator of this host finds the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiSocket {
    /// `api.sock` in `agent.data_dir`, if that can be written.
    Default,
    At(PathBuf),
    Off,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            advertise_interval: Duration::from_secs(120),
            route_ttl: Duration::from_secs(300),
            max_hops: 8,
            balance: Balance::LowestMetric,
            transit: true,
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            dead_after: 3,
            congestion: Congestion::Bbr,
            reconnect: Reconnect::default(),
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            notice: Duration::ZERO,
        }
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            multiplier: 2.0,
            jitter: 0.2,
            max_retries: None,
        }
    }
}

/// Without a query, which may be a secret: the target is a check's default name, for everyone to
/// read.
impl fmt::Display for HealthTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Http { host, path, .. } => {
                let path = path.split('?').next().unwrap_or_default();
                write!(f, "http://{host}{path}")
            }
        }
    }
}

impl FromStr for Route {
    type Err = String;

    /// A prefix, or a name as a domain route has it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.contains('/') || text.parse::<IpAddr>().is_ok() {
            true => scalar::prefix(text).map(Self::Prefix),
            false => scalar::domain(text).map(Self::Domain),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => prefix.fmt(f),
            Self::Domain(domain) => domain.fmt(f),
        }
    }
}

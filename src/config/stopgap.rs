use super::*;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigErrors(pub String);
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Raw { agent: RAgent, tls: RTls, trust: RTrust, listeners: Option<Vec<RL>>, peers: Vec<RP>, socks5: RS, exit: RE, routing: RR, connections: RC, http: RH }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RAgent { id: Option<String>, display_name: Option<String>, data_dir: Option<String>, log_level: Option<String>, log_format: Option<String> }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RTls { ca: Option<String>, cert: Option<String>, key: Option<String> }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RTrust { allow: Vec<String> }
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RL { #[allow(dead_code)] transport: Option<String>, address: String }
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RP { id: String, #[allow(dead_code)] transport: Option<String>, address: String, cost: Option<u32>, tls: Option<RTls> }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RS { enabled: bool, address: Option<String>, auth: RA, max_connections: Option<usize> }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RA { enabled: bool, users: Vec<RU> }
#[derive(Deserialize)]
struct RU { username: String, password_hash: String }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RE { enabled: bool, routes: Vec<ipnet::IpNet>, domain_routes: Vec<String>, dns: RD, connect_timeout: Option<String> }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RD { servers: Vec<String>, timeout: Option<String> }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RR { advertise_interval: Option<String>, route_ttl: Option<String>, max_hops: Option<u8>, balance: Option<String>, transit: Option<bool> }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RC { heartbeat: Option<String>, dead_after: Option<u32>, reconnect: RRec }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RRec { initial_delay: Option<String>, max_delay: Option<String>, multiplier: Option<f64>, jitter: Option<f64>, max_retries: Option<u32> }
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RH { enabled: Option<bool>, address: Option<String>, token_hash: Option<String> }
fn dur(t: &Option<String>, d: &str) -> Duration { let t = t.as_deref().unwrap_or(d); let (n, u) = t.split_at(t.find(|c: char| c.is_alphabetic()).unwrap_or(t.len())); let n: u64 = n.parse().unwrap_or(1); match u { "ms" => Duration::from_millis(n), "m" => Duration::from_secs(60*n), _ => Duration::from_secs(n) } }
impl Config {
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let t = std::fs::read_to_string(path).map_err(|e| ConfigErrors(format!("{}: {e}", path.display())))?;
        Self::parse(&t, &path.display().to_string(), path.parent().unwrap_or(Path::new(".")), &|v| std::env::var(v).ok())
    }
    pub fn parse(text: &str, _f: &str, base: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let _ = env;
        let e = |x: String| ConfigErrors(x);
        let r: Raw = serde_yaml::from_str(text).map_err(|x| e(x.to_string()))?;
        let p = |s: &Option<String>| s.as_ref().map(|s| base.join(s));
        let sa = |s: &str| -> Result<std::net::SocketAddr, ConfigErrors> { let s = if s.starts_with(':') { format!("0.0.0.0{s}") } else { s.to_owned() }; s.parse().map_err(|x| e(format!("{s}: {x}"))) };
        let id = |s: &str| s.parse().map_err(|x: crate::identity::AgentIdError| e(x.to_string()));
        let listeners = match (&r.listeners, r.peers.is_empty()) { (Some(l), _) => l.iter().map(|l| Ok(Listener { address: sa(&l.address)? })).collect::<Result<_, ConfigErrors>>()?, (None, true) => vec![Listener { address: sa("0.0.0.0:4433")? }], _ => vec![] };
        Ok(Config {
            agent: Agent { id: match r.agent.id.as_deref() { None | Some("auto") => None, Some(s) => Some(id(s)?) }, display_name: r.agent.display_name.clone(), data_dir: base.join(r.agent.data_dir.clone().unwrap_or("./data".into())), log_level: r.agent.log_level.clone().unwrap_or("info".into()), log_format: if r.agent.log_format.as_deref() == Some("json") { LogFormat::Json } else { LogFormat::Text } },
            tls: Tls { ca: p(&r.tls.ca), cert_and_key: p(&r.tls.cert).zip(p(&r.tls.key)) },
            allow: r.trust.allow.iter().map(|s| id(s)).collect::<Result<_, _>>()?,
            listeners,
            peers: r.peers.iter().map(|x| { let (h, port) = x.address.rsplit_once(':').unwrap_or((&x.address, "4433")); Ok(Peer { id: id(&x.id)?, address: HostPort { host: h.trim_matches(['[', ']']).to_owned(), port: port.parse().map_err(|_| e("port".into()))? }, cost: x.cost.unwrap_or(1), ca: x.tls.as_ref().and_then(|t| p(&t.ca)) }) }).collect::<Result<_, ConfigErrors>>()?,
            socks5: r.socks5.enabled.then(|| Ok::<_, ConfigErrors>(Socks5 { address: sa(r.socks5.address.as_deref().unwrap_or("127.0.0.1:1080"))?, users: r.socks5.auth.enabled.then(|| r.socks5.auth.users.iter().map(|u| User { username: u.username.clone(), password_hash: PasswordHash(u.password_hash.clone()) }).collect()), max_connections: r.socks5.max_connections.unwrap_or(10000) })).transpose()?,
            exit: r.exit.enabled.then(|| Ok::<_, ConfigErrors>(Exit { routes: r.exit.routes.clone(), domain_routes: r.exit.domain_routes.iter().map(|d| d.parse().map_err(|x: crate::identity::DomainPatternError| e(x.to_string()))).collect::<Result<_, _>>()?, dns: Dns { servers: r.exit.dns.servers.iter().map(|s| sa(s)).collect::<Result<_, _>>()?, timeout: dur(&r.exit.dns.timeout, "5s") }, connect_timeout: dur(&r.exit.connect_timeout, "5s") })).transpose()?,
            routing: Routing { advertise_interval: dur(&r.routing.advertise_interval, "2m"), route_ttl: dur(&r.routing.route_ttl, "5m"), max_hops: r.routing.max_hops.unwrap_or(8), balance: Balance::LowestMetric, transit: r.routing.transit.unwrap_or(true) },
            connections: Connections { heartbeat: dur(&r.connections.heartbeat, "100ms"), dead_after: r.connections.dead_after.unwrap_or(3), reconnect: Reconnect { initial_delay: dur(&r.connections.reconnect.initial_delay, "1s"), max_delay: dur(&r.connections.reconnect.max_delay, "60s"), multiplier: r.connections.reconnect.multiplier.unwrap_or(2.0), jitter: r.connections.reconnect.jitter.unwrap_or(0.2), max_retries: r.connections.reconnect.max_retries.filter(|n| *n > 0) } },
            http: r.http.enabled.unwrap_or(true).then(|| Ok::<_, ConfigErrors>(Http { address: sa(r.http.address.as_deref().unwrap_or("0.0.0.0:8080"))?, token_hash: r.http.token_hash.clone().filter(|t| !t.is_empty()).map(PasswordHash) })).transpose()?,
            limits: Limits::default(),
        })
    }
}
#[allow(dead_code)]
fn _unused(_: PathBuf) {}

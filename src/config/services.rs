//! The sections `socks5`, `exit` and `http`. A section with `enabled: false` is still checked, so
//! that switching it on holds no surprise.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;

use super::reader::distinct;
use super::section::Section;
use super::{ApiSocket, Config, Dns, Exit, Http, Limits, PasswordHash, Socks5, User};
use super::{health, scalar, secret};

/// Open to this host only: whoever reaches the port uses the mesh.
const DEFAULT_SOCKS5: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1080);
const DEFAULT_HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);

/// `socks5.max_connections` of a file that does not say it.
pub const DEFAULT_MAX_CONNECTIONS: usize = 10_000;

/// How long a user waits for a name or a connection before the answer is "timed out".
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
const WAITS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(120);

/// Longer than an agent that stood still, or the transits that restart, take to be back; shorter than
/// the patience of a client that has another proxy to go to.
const DEFAULT_ROUTE_WAIT: Duration = Duration::from_secs(2);

/// Past that, what had a route is not remembered.
const MOST_ROUTE_WAIT: Duration = Duration::from_secs(10);

/// RFC 1929 gives the length one byte.
const USERNAME_BYTES: RangeInclusive<usize> = 1..=255;

pub(super) fn socks5(mut section: Section<'_>) -> Option<Socks5> {
    let enabled = section.flag("enabled").unwrap_or(false);
    let socks5 = Socks5 {
        address: section
            .parse("address", "an address", scalar::listen_address)
            .unwrap_or(DEFAULT_SOCKS5),
        users: auth(section.section("auth")),
        max_connections: section
            .number("max_connections", 1..=1_000_000)
            .unwrap_or(DEFAULT_MAX_CONNECTIONS),
        route_wait: section
            .duration("route_wait", Duration::ZERO..=MOST_ROUTE_WAIT)
            .unwrap_or(DEFAULT_ROUTE_WAIT),
        resolvers: distinct(section.list("resolvers", "an agent id", scalar::agent_id)),
        balancers: balancers(section.section("proxy_protocol")),
    };
    enabled.then_some(socks5)
}

pub(super) fn exit(mut section: Section<'_>, limits: &Limits) -> Option<Exit> {
    let enabled = section.flag("enabled").unwrap_or(false);
    let routes = section.list("routes", "a prefix", scalar::prefix);
    let domains = section.list("domain_routes", "a domain pattern", scalar::domain);
    let count = routes.len() + domains.len();
    if count > limits.routes_per_origin
        && let Some((item, _)) = routes.last()
    {
        let limit = limits.routes_per_origin;
        item.invalid(format!(
            "{count} routes; limits.routes_per_origin allows {limit}"
        ));
    }
    let (routes, domain_routes) = (distinct(routes), distinct(domains));
    let health_checks = health::health_checks(&mut section, &routes, &domain_routes, limits);
    let exit = Exit {
        routes,
        domain_routes,
        allow_special: distinct(section.list("allow_special", "a prefix", scalar::prefix)),
        health_checks,
        dns: dns(section.section("dns")),
        connect_timeout: section
            .duration("connect_timeout", WAITS)
            .unwrap_or(DEFAULT_WAIT),
    };
    if enabled
        && section.lacks("routes")
        && section.lacks("domain_routes")
        && let Some(value) = section.value("enabled")
    {
        value.invalid("an exit without routes; give exit.routes or exit.domain_routes");
    }
    enabled.then_some(exit)
}

pub(super) fn http(mut section: Section<'_>) -> Option<Http> {
    let enabled = section.flag("enabled").unwrap_or(true);
    let http = Http {
        address: section
            .parse("address", "an address", scalar::listen_address)
            .unwrap_or(DEFAULT_HTTP),
        token_hash: token_hash(&mut section),
        trust_loopback: section.flag("trust_loopback").unwrap_or(false),
        socket: section
            .path_or_empty("socket")
            .map_or(ApiSocket::Default, |path| {
                path.map_or(ApiSocket::Off, ApiSocket::At)
            }),
        agent_check: section.parse("agent_check", "an address", scalar::listen_address),
        agent_check_weight: section.flag("agent_check_weight").unwrap_or(false),
    };
    if http.trust_loopback
        && http.token_hash.is_none()
        && let Some(value) = section.value("trust_loopback")
    {
        value.invalid(
            "without http.token_hash loopback is trusted anyway; remove it or set a token",
        );
    }
    if http.agent_check_weight
        && http.agent_check.is_none()
        && let Some(value) = section.value("agent_check_weight")
    {
        value.invalid("without http.agent_check nobody is told; give its address or remove this");
    }
    enabled.then_some(http)
}

/// The empty text stands for none.
fn token_hash(section: &mut Section<'_>) -> Option<PasswordHash> {
    let in_file = secret::hash_file(section, "token_hash", "token_hash_file");
    let inline = section.parse("token_hash", "a hash", |text| match text {
        "" => Ok(None),
        _ => scalar::password_hash(text).map(Some),
    });
    in_file.or(inline.flatten())
}

/// What listens for TCP cannot share an address.
pub(super) fn check_distinct(document: &mut Section<'_>, config: &Config) {
    let taken = config.tcp_ports();
    for (index, (later, address)) in taken.iter().enumerate() {
        let mut earlier = taken[..index].iter();
        let clash = earlier.find(|(_, other)| other == address && address.port() != 0);
        // At least one of them is in the file, because the defaults differ.
        let value = ["http", "socks5"].map(|key| document.value(key));
        if let (Some((earlier, _)), Some(value)) = (clash, value.into_iter().flatten().next()) {
            value.invalid(format!(
                "{earlier} and {later} both listen on {address}; change one"
            ));
            return;
        }
    }
}

/// Whose connections begin with a PROXY header.
fn balancers(mut section: Section<'_>) -> Vec<IpNet> {
    distinct(section.list("from", "a prefix", scalar::prefix))
}

/// The users, if authentication is on.
fn auth(mut section: Section<'_>) -> Option<Vec<User>> {
    let enabled = section.flag("enabled").unwrap_or(false);
    let items = section.items("users").unwrap_or_default();
    if enabled
        && section.lacks("users")
        && let Some(value) = section.value("enabled")
    {
        value.invalid("authentication without users; add socks5.auth.users");
    }
    let mut seen = HashMap::new();
    let mut users = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let mut section = item.section();
        let username = section.require("username", "a name of 1 to 255 bytes", username);
        let hash = password_hash(&mut section);
        if let Some(username) = &username
            && let Some(first) = seen.insert(username.clone(), index)
            && let Some(value) = section.value("username")
        {
            value.invalid(format!("the same name as users[{first}]; names are unique"));
        }
        users.extend(user(username, hash));
    }
    enabled.then_some(users)
}

fn password_hash(section: &mut Section<'_>) -> Option<PasswordHash> {
    const KEY: &str = "password_hash";
    const FILE_KEY: &str = "password_hash_file";
    const WANTED: &str = "an argon2 or bcrypt hash, or password_hash_file";
    let in_file = secret::hash_file(section, KEY, FILE_KEY);
    match section.value(FILE_KEY) {
        Some(_) => in_file,
        None => section.require(KEY, WANTED, scalar::password_hash),
    }
}

fn user(username: Option<String>, password_hash: Option<PasswordHash>) -> Option<User> {
    Some(User {
        username: username?,
        password_hash: password_hash?,
    })
}

fn username(text: &str) -> Result<String, String> {
    if USERNAME_BYTES.contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(format!("has {} bytes; a name has 1 to 255", text.len()))
}

fn dns(mut section: Section<'_>) -> Dns {
    Dns {
        servers: distinct(section.list("servers", "an address", scalar::dns_server)),
        timeout: section.duration("timeout", WAITS).unwrap_or(DEFAULT_WAIT),
    }
}

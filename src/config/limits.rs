//! A named limit for every queue, table and cache. At the limit: drop and count, never block.

use std::time::Duration;

use super::section::Section;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;

/// The `limits` section. Every field is a key of the same name.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Live links, dialled and accepted together.
    pub links: usize,
    /// Link handshakes under way that others started; further ones are refused.
    pub pending_handshakes: usize,
    /// Link handshakes begun per second and listener, for all who have not proved their address
    /// together and again for all who have.
    pub handshakes_per_second: u32,
    /// Link handshakes begun per second and listener for one IPv4 address or IPv6 /64.
    pub handshakes_per_source: u32,
    /// Time for a link or tunnel handshake including hello.
    pub handshake_timeout: Duration,
    /// Bytes of one control message.
    pub control_message: usize,
    /// Control messages queued for one neighbour; a neighbour that falls further behind is dropped.
    pub control_queue: usize,
    /// Control bytes accepted per second from one neighbour.
    pub control_bytes_per_second: usize,
    /// Signatures checked per second on behalf of one neighbour.
    pub signatures_per_second: u32,
    /// Origins kept in the advertisement database.
    pub origins: usize,
    /// Neighbours in one origin's link advertisement.
    pub neighbors_per_origin: usize,
    /// Prefixes and domains together that one origin may advertise.
    pub routes_per_origin: usize,
    /// Bytes of all stored advertisements.
    pub advertisement_bytes: usize,
    /// Received buffers waiting for the local end-to-end endpoint.
    pub receive_queue: usize,
    /// End-to-end sessions that others may open to this exit.
    pub sessions: usize,
    /// Streams open at once in one session.
    pub streams_per_session: u32,
    /// Connections that an exit has for all its ingresses.
    pub exit_connections: usize,
    /// Bytes in flight or unread in one session, all its streams together.
    pub session_window: usize,
    /// Return paths remembered for sources that have not proved themselves.
    pub provisional_paths: usize,
    /// Time for a SOCKS5 client to finish greeting, authentication and request.
    pub socks_handshake_timeout: Duration,
    /// Clients at once that have not said yet what they want.
    pub socks_handshakes: usize,
    /// Requests waiting for a route at once; further ones are refused as if `socks5.route_wait` were 0.
    pub waiting_requests: usize,
    /// Prefixes and domains remembered because they had a route lately.
    pub lost_routes: usize,
    /// Password and token hashes computed at once.
    pub password_checks: usize,
    /// Logins waiting for one of them; the worst placed is refused for a further one.
    pub password_queue: usize,
    /// Names waiting for a resolver at an exit at once.
    pub dns_queries: usize,
    /// Health checks of an exit.
    pub health_checks: usize,
    /// HTTP connections at once.
    pub http_connections: usize,
    /// Log lines that wait to be written.
    pub log_lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            links: 1_024,
            pending_handshakes: 64,
            handshakes_per_second: 500,
            handshakes_per_source: 50,
            handshake_timeout: Duration::from_secs(5),
            control_message: 256 * KIB,
            control_queue: 4_096,
            control_bytes_per_second: 16 * MIB,
            signatures_per_second: 5_000,
            origins: 16_384,
            neighbors_per_origin: 1_024,
            routes_per_origin: 10_000,
            advertisement_bytes: 256 * MIB,
            receive_queue: 512,
            sessions: 4_096,
            streams_per_session: 65_536,
            exit_connections: 65_536,
            session_window: 256 * 1024 * 1024,
            provisional_paths: 4_096,
            socks_handshake_timeout: Duration::from_secs(10),
            socks_handshakes: 4_096,
            waiting_requests: 4_096,
            lost_routes: 100_000,
            password_checks: 4,
            password_queue: 256,
            dns_queries: 1_024,
            health_checks: 64,
            http_connections: 256,
            // Under a megabyte, as lines are; a start with hundreds of peers fits.
            log_lines: 4_096,
        }
    }
}

/// Reads the section. The least values keep an agent able to work at all, the most ones keep a slip
/// of the finger from promising memory that no host has.
pub(super) fn limits(mut section: Section<'_>) -> Limits {
    let default = Limits::default();
    let s = &mut section;
    let handshake = Duration::from_millis(100)..=Duration::from_secs(60);
    Limits {
        links: s.number("links", 1..=65_536).unwrap_or(default.links),
        pending_handshakes: s
            .number("pending_handshakes", 1..=65_536)
            .unwrap_or(default.pending_handshakes),
        handshakes_per_second: s
            .number("handshakes_per_second", 1..=100_000)
            .unwrap_or(default.handshakes_per_second),
        handshakes_per_source: s
            .number("handshakes_per_source", 1..=100_000)
            .unwrap_or(default.handshakes_per_source),
        handshake_timeout: s
            .duration("handshake_timeout", handshake.clone())
            .unwrap_or(default.handshake_timeout),
        // A certificate chain alone may take tens of kilobytes.
        control_message: s
            .size("control_message", 64 * KIB..=16 * MIB)
            .unwrap_or(default.control_message),
        control_queue: s
            .number("control_queue", 16..=1_048_576)
            .unwrap_or(default.control_queue),
        control_bytes_per_second: s
            .size("control_bytes_per_second", 64 * KIB..=GIB)
            .unwrap_or(default.control_bytes_per_second),
        signatures_per_second: s
            .number("signatures_per_second", 10..=1_000_000)
            .unwrap_or(default.signatures_per_second),
        origins: s
            .number("origins", 2..=1_048_576)
            .unwrap_or(default.origins),
        neighbors_per_origin: s
            .number("neighbors_per_origin", 1..=65_536)
            .unwrap_or(default.neighbors_per_origin),
        routes_per_origin: s
            .number("routes_per_origin", 1..=1_000_000)
            .unwrap_or(default.routes_per_origin),
        advertisement_bytes: s
            .size("advertisement_bytes", MIB..=16 * GIB)
            .unwrap_or(default.advertisement_bytes),
        receive_queue: s
            .number("receive_queue", 16..=65_536)
            .unwrap_or(default.receive_queue),
        sessions: s
            .number("sessions", 1..=1_048_576)
            .unwrap_or(default.sessions),
        streams_per_session: s
            .number("streams_per_session", 1..=1_048_576)
            .unwrap_or(default.streams_per_session),
        exit_connections: s
            .number("exit_connections", 1..=1_000_000)
            .unwrap_or(default.exit_connections),
        // QUIC's variable-length window is held in 32 bits here.
        session_window: s
            .size("session_window", MIB..=2 * GIB)
            .unwrap_or(default.session_window),
        provisional_paths: s
            .number("provisional_paths", 1..=1_048_576)
            .unwrap_or(default.provisional_paths),
        socks_handshake_timeout: s
            .duration("socks_handshake_timeout", handshake)
            .unwrap_or(default.socks_handshake_timeout),
        socks_handshakes: s
            .number("socks_handshakes", 1..=1_000_000)
            .unwrap_or(default.socks_handshakes),
        waiting_requests: s
            .number("waiting_requests", 1..=1_000_000)
            .unwrap_or(default.waiting_requests),
        lost_routes: s
            .number("lost_routes", 1..=1_000_000)
            .unwrap_or(default.lost_routes),
        password_checks: s
            .number("password_checks", 1..=1_024)
            .unwrap_or(default.password_checks),
        password_queue: s
            .number("password_queue", 1..=65_536)
            .unwrap_or(default.password_queue),
        dns_queries: s
            .number("dns_queries", 1..=1_048_576)
            .unwrap_or(default.dns_queries),
        health_checks: s
            .number("health_checks", 1..=4_096)
            .unwrap_or(default.health_checks),
        http_connections: s
            .number("http_connections", 1..=65_536)
            .unwrap_or(default.http_connections),
        log_lines: s
            .number("log_lines", 16..=1_048_576)
            .unwrap_or(default.log_lines),
    }
}

//! A named limit for every queue, table and cache. At the limit: drop and count, never block.

use std::time::Duration;

/// The `limits` section. Every field is a key of the same name.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Live links, dialled and accepted together.
    pub links: usize,
    /// Link handshakes under way that others started; further ones are refused.
    pub pending_handshakes: usize,
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
    /// Bytes in flight or unread in one session, all its streams together.
    pub session_window: u32,
    /// Return paths remembered for sources that have not proved themselves.
    pub provisional_paths: usize,
    /// Time for a SOCKS5 client to finish greeting, authentication and request.
    pub socks_handshake_timeout: Duration,
    /// Password checks under way at once.
    pub password_checks: usize,
    /// Names waiting for a resolver at an exit at once.
    pub dns_queries: usize,
    /// HTTP connections at once.
    pub http_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            links: 1_024,
            pending_handshakes: 64,
            handshake_timeout: Duration::from_secs(5),
            control_message: 256 * 1024,
            control_queue: 4_096,
            control_bytes_per_second: 16 * 1024 * 1024,
            signatures_per_second: 5_000,
            origins: 16_384,
            neighbors_per_origin: 1_024,
            routes_per_origin: 100_000,
            advertisement_bytes: 256 * 1024 * 1024,
            receive_queue: 512,
            sessions: 4_096,
            streams_per_session: 65_536,
            session_window: 256 * 1024 * 1024,
            provisional_paths: 4_096,
            socks_handshake_timeout: Duration::from_secs(10),
            password_checks: 4,
            dns_queries: 1_024,
            http_connections: 256,
        }
    }
}

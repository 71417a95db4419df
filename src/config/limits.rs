//! A named limit for every queue, table and cache. At the limit: drop and count, never block.

use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::section::Section;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;

/// What a handshake may be given.
const HANDSHAKE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// Declares all limits, each in one place: its type and default, and what the file may say. The least
/// values keep an agent able to work at all, the most ones keep a slip of the finger from promising memory
/// that no host has.
macro_rules! limits {
    ($( $(#[$doc:meta])* $key:ident: $type:ty = $default:expr, $read:ident $range:expr; )*) => {
        /// The `limits` section. Every field is a key of the same name.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Limits {
            $( $(#[$doc])* pub $key: $type, )*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $( $key: $default ),* }
            }
        }

        impl Limits {
            /// Reads the section.
            pub(super) fn read(mut section: Section<'_>) -> Self {
                let default = Self::default();
                Self {
                    $( $key: section.$read(stringify!($key), $range).unwrap_or(default.$key) ),*
                }
            }

            /// Each key and its value.
            pub(super) fn values(&self) -> Vec<(&'static str, &dyn Debug)> {
                vec![ $( (stringify!($key), &self.$key) ),* ]
            }
        }
    };
}

limits! {
    /// Live links, dialled and accepted together.
    links: usize = 1_024, number 1..=65_536;
    /// Link handshakes under way that others started; further ones are refused.
    pending_handshakes: usize = 64, number 1..=65_536;
    /// Link handshakes begun per second and listener, for all who have not proved their address
    /// together and again for all who have.
    handshakes_per_second: u32 = 500, number 1..=100_000;
    /// Link handshakes begun per second and listener for one IPv4 address or IPv6 /64.
    handshakes_per_source: u32 = 50, number 1..=100_000;
    /// Time for a link or tunnel handshake including hello.
    handshake_timeout: Duration = Duration::from_secs(5), duration HANDSHAKE;
    /// Bytes of one control message. A certificate chain alone may take tens of kilobytes.
    control_message: usize = 256 * KIB, size 64 * KIB..=16 * MIB;
    /// Control messages queued for one neighbour; a neighbour that falls further behind is dropped.
    control_queue: usize = 4_096, number 16..=1_048_576;
    /// Control bytes accepted per second from one neighbour.
    control_bytes_per_second: usize = 16 * MIB, size 64 * KIB..=GIB;
    /// Signatures checked per second on behalf of one neighbour.
    signatures_per_second: u32 = 5_000, number 10..=1_000_000;
    /// Origins kept in the advertisement database.
    origins: usize = 16_384, number 2..=1_048_576;
    /// Neighbours in one origin's link advertisement.
    neighbors_per_origin: usize = 1_024, number 1..=65_536;
    /// Prefixes and domains together that one origin may advertise.
    routes_per_origin: usize = 10_000, number 1..=1_000_000;
    /// Bytes of all stored advertisements.
    advertisement_bytes: usize = 256 * MIB, size MIB..=16 * GIB;
    /// Received buffers waiting for the local end-to-end endpoint.
    receive_queue: usize = 512, number 16..=65_536;
    /// End-to-end sessions that others may open to this exit.
    sessions: usize = 4_096, number 1..=1_048_576;
    /// Streams open at once in one session.
    streams_per_session: u32 = 65_536, number 1..=1_048_576;
    /// Connections that an exit has for all its ingresses.
    exit_connections: usize = 65_536, number 1..=1_000_000;
    /// Bytes in flight or unread in one session, all its streams together. QUIC's variable-length window
    /// is held in 32 bits here.
    session_window: usize = 256 * MIB, size MIB..=2 * GIB;
    /// Handshakes whose return paths are remembered while nothing is proved.
    provisional_paths: usize = 4_096, number 1..=1_048_576;
    /// Time for a SOCKS5 client to finish greeting, authentication and request.
    socks_handshake_timeout: Duration = Duration::from_secs(10), duration HANDSHAKE;
    /// Clients at once that have not said yet what they want.
    socks_handshakes: usize = 4_096, number 1..=1_000_000;
    /// Requests waiting for a route at once; further ones are refused as if `socks5.route_wait` were 0.
    waiting_requests: usize = 4_096, number 1..=1_000_000;
    /// Prefixes and domains remembered because they had a route lately.
    lost_routes: usize = 100_000, number 1..=1_000_000;
    /// Password and token hashes computed at once.
    password_checks: usize = 4, number 1..=1_024;
    /// Logins waiting for one of them; the worst placed is refused for a further one.
    password_queue: usize = 256, number 1..=65_536;
    /// Names waiting for a resolver at an exit at once, less where few files may be open.
    dns_queries: usize = 1_024, number 1..=1_048_576;
    /// Health checks of an exit.
    health_checks: usize = 64, number 1..=4_096;
    /// HTTP connections at once.
    http_connections: usize = 256, number 1..=65_536;
    /// Log lines that wait to be written: under a megabyte, as lines are, and a start with hundreds of
    /// peers fits.
    log_lines: usize = 4_096, number 16..=1_048_576;
}

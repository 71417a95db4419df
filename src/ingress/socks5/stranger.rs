//! Clients that speak something else than SOCKS5: told so in their own words, as far as it has some.

use std::net::SocketAddr;

/// `VN` of a SOCKS4 reply, and `CD`: request rejected.
const SOCKS4_REJECTED: [u8; 8] = [0, 0x5b, 0, 0, 0, 0, 0, 0];

/// A fatal `handshake_failure` in a record of its own (RFC 8446 §5.1, §6.2). The client ends at once
/// with an error of TLS and does not wonder about an end of file.
const TLS_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// What the first byte of a connection gives away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    Socks4,
    /// A handshake record of TLS (RFC 8446 §5.1).
    Tls,
    /// A method of HTTP, or another protocol of text.
    Text,
    Other(u8),
}

impl Stranger {
    pub(super) fn of(first: u8) -> Self {
        match first {
            4 => Self::Socks4,
            22 => Self::Tls,
            first if first.is_ascii_alphabetic() => Self::Text,
            first => Self::Other(first),
        }
    }

    /// The last that it hears; `port` is where it came in.
    pub(super) fn answer(self, port: SocketAddr) -> Vec<u8> {
        match self {
            Self::Socks4 => SOCKS4_REJECTED.to_vec(),
            Self::Tls => TLS_ALERT.to_vec(),
            Self::Text => http_hint(port).into_bytes(),
            Self::Other(_) => Vec::new(),
        }
    }
}

impl std::fmt::Display for Stranger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socks4 => f.write_str("SOCKS4"),
            Self::Tls => f.write_str("TLS"),
            Self::Text => f.write_str("HTTP or another protocol of text"),
            Self::Other(first) => write!(f, "something that begins with byte {first:#04x}"),
        }
    }
}

/// The reason phrase, too, says what matters: it is all that most clients show of a refused CONNECT.
fn http_hint(port: SocketAddr) -> String {
    let text = format!(
        "This is a SOCKS5 port, and it does not speak HTTP. Try:\n\n   \
         curl -x socks5h://{port} URL\n"
    );
    format!(
        "HTTP/1.1 501 This is a SOCKS5 port\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

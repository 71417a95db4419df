//! SOCKS5 towards the client (RFC 1928, RFC 1929): greeting, authentication, request, replies.
//!
//! Reads exactly what the protocol says and never ahead, so that bytes a client sends early stay in
//! the socket for the relay.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fast_socks5::ReplyError;
use fast_socks5::consts::{SOCKS5_CMD_TCP_CONNECT, SOCKS5_REPLY_SUCCEEDED, SOCKS5_VERSION};
use fast_socks5::server::{
    AuthMethod, AuthMethodSuccessState, NoAuthentication, Socks5ServerProtocol, SocksServerError,
};
use fast_socks5::util::target_addr::{AddrError, TargetAddr, read_address};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::stranger::Stranger;
use crate::canonical;
use crate::identity::{Login, Verdict};
use crate::names::{is_name, without_dot};

/// Version of the username/password sub-negotiation (RFC 1929).
const PASSWORD_VERSION: u8 = 1;
const PASSWORD_ACCEPTED: u8 = 0;
const PASSWORD_REFUSED: u8 = 1;

/// What a client asks to be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address in canonical form: IPv4-mapped ones are IPv4.
    Address(SocketAddr),
    /// A well-formed name, lower case, without a trailing dot.
    Name(String, u16),
}

/// Why a client did not get as far as a request.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("client left or its connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("client speaks {0}; only SOCKS5 is spoken here")]
    Stranger(Stranger),
    #[error("client makes a request of SOCKS version {0} after a greeting of version 5")]
    Version(u8),
    #[error("client offers no authentication method that is accepted here")]
    NoMethod,
    #[error("client does not speak RFC 1929")]
    BadPasswordMessage,
    #[error("wrong username or password")]
    Refused,
    /// Nor was the client told more than that it is refused.
    #[error("the password was not looked at: too many failed or wait")]
    TooOften,
    /// The client was sent this reply.
    #[error("request refused: {0}")]
    Request(ReplyError),
}

impl HandshakeError {
    /// Its metrics label.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::Stranger(_) | Self::Version(_) => "version",
            Self::NoMethod => "no_method",
            Self::BadPasswordMessage => "malformed",
            Self::Refused => "auth",
            Self::TooOften => "auth_too_often",
            Self::Request(_) => "request",
        }
    }
}

/// Leads a client up to its request. The client has been told of a failure, as far as the protocol
/// has words for it.
///
/// `users`: `None` asks for no authentication. `client` is where the connection comes from.
pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    tcp: &mut S,
    users: Option<&Login>,
    client: IpAddr,
) -> Result<Destination, HandshakeError> {
    let opened = Socks5ServerProtocol::start(&mut *tcp);
    match users {
        None => {
            opened
                .negotiate_auth(&[NoAuthentication])
                .await?
                .finish_auth();
        }
        Some(users) => {
            let started = opened.negotiate_auth(&[Password]).await?;
            started.authenticate(users, client).await?;
        }
    }
    match read_request(tcp).await? {
        Ok(destination) => Ok(destination),
        Err(error) => {
            reply(tcp, error.as_u8(), None).await?;
            Err(HandshakeError::Request(error))
        }
    }
}

/// Tells the client that it is connected; `bound` is the exit's address towards the target.
pub(super) async fn reply_connected<S: AsyncWrite + Unpin>(
    tcp: &mut S,
    bound: Option<SocketAddr>,
) -> io::Result<()> {
    reply(tcp, SOCKS5_REPLY_SUCCEEDED, bound).await
}

/// Tells the client why it is not connected.
pub(super) async fn reply_error<S: AsyncWrite + Unpin>(
    tcp: &mut S,
    error: ReplyError,
) -> io::Result<()> {
    reply(tcp, error.as_u8(), None).await
}

async fn reply<S: AsyncWrite + Unpin>(
    tcp: &mut S,
    code: u8,
    bound: Option<SocketAddr>,
) -> io::Result<()> {
    let bound = bound.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    let address = TargetAddr::Ip(bound)
        .to_be_bytes()
        .map_err(io::Error::other)?;
    let mut message = vec![SOCKS5_VERSION, code, 0];
    message.extend_from_slice(&address);
    tcp.write_all(&message).await
}

/// Reads the request; the inner error is the reply it deserves.
async fn read_request<S: AsyncRead + Unpin>(
    tcp: &mut S,
) -> Result<Result<Destination, ReplyError>, HandshakeError> {
    let mut head = [0; 4];
    tcp.read_exact(&mut head).await?;
    let [version, command, _reserved, address_type] = head;
    if version != SOCKS5_VERSION {
        return Err(HandshakeError::Version(version));
    }
    let target = match read_address(tcp, address_type).await {
        Ok(target) => target,
        Err(AddrError::IncorrectAddressType) => {
            return Ok(Err(ReplyError::AddressTypeNotSupported));
        }
        // No name is written in anything but ASCII.
        Err(AddrError::Utf8(_)) => return Ok(Err(ReplyError::HostUnreachable)),
        Err(
            AddrError::IPv4Unreadable(error)
            | AddrError::IPv6Unreadable(error)
            | AddrError::PortNumberUnreadable(error)
            | AddrError::DomainLenUnreadable(error)
            | AddrError::DomainContentUnreadable(error)
            | AddrError::AddrConversionFailed(error)
            | AddrError::DNSResolutionFailed(error),
        ) => return Err(error.into()),
        Err(AddrError::NoDNSRecords | AddrError::DomainLenTooLong(_)) => {
            return Ok(Err(ReplyError::HostUnreachable));
        }
    };
    if command != SOCKS5_CMD_TCP_CONNECT {
        return Ok(Err(ReplyError::CommandNotSupported));
    }
    Ok(destination(target).ok_or(ReplyError::HostUnreachable))
}

/// `None`: no name can look like this.
fn destination(target: TargetAddr) -> Option<Destination> {
    let address = |ip: IpAddr, port| Destination::Address(SocketAddr::new(ip.to_canonical(), port));
    match target {
        TargetAddr::Ip(target) => Some(address(target.ip(), target.port())),
        TargetAddr::Domain(name, port) => {
            // The trailing dot of a name may stand behind an IPv4 address, too: it is no name then.
            let bare = without_dot(&name);
            if let Ok(ip) = bare.trim_matches(['[', ']']).parse() {
                return Some(address(ip, port));
            }
            // The dot of a name goes on to who resolves it: it keeps search lists out.
            let is_sound = is_name(bare) && !canonical::is_number_address(bare);
            is_sound.then(|| Destination::Name(name.to_ascii_lowercase(), port))
        }
    }
}

/// RFC 1929. Our own, because the library writes passwords to its debug log.
#[derive(Clone, Copy)]
struct Password;

struct PasswordStarted<T>(T);

struct PasswordDone<T>(T);

impl<T> AuthMethod<T> for Password {
    type StartingState = PasswordStarted<T>;

    fn method_id(self) -> u8 {
        fast_socks5::consts::SOCKS5_AUTH_METHOD_PASSWORD
    }

    fn new(self, inner: T) -> Self::StartingState {
        PasswordStarted(inner)
    }
}

impl<T> AuthMethodSuccessState<T> for PasswordDone<T> {
    fn into_inner(self) -> T {
        self.0
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> PasswordStarted<&mut S> {
    async fn authenticate(self, users: &Login, client: IpAddr) -> Result<(), HandshakeError> {
        let tcp = self.0;
        let mut version = [0];
        tcp.read_exact(&mut version).await?;
        if version != [PASSWORD_VERSION] {
            return Err(HandshakeError::BadPasswordMessage);
        }
        let username = read_counted(tcp).await?;
        let password = read_counted(tcp).await?;
        let refused = match users.verify(client, &username, password).await {
            Verdict::Valid => None,
            Verdict::Wrong => Some(HandshakeError::Refused),
            Verdict::TooOften => Some(HandshakeError::TooOften),
        };
        if let Some(refused) = refused {
            tcp.write_all(&[PASSWORD_VERSION, PASSWORD_REFUSED]).await?;
            return Err(refused);
        }
        tcp.write_all(&[PASSWORD_VERSION, PASSWORD_ACCEPTED])
            .await?;
        PasswordDone(tcp).finish_auth();
        Ok(())
    }
}

/// A length byte and as many bytes.
async fn read_counted<S: AsyncRead + Unpin>(tcp: &mut S) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(tcp.read_u8().await?)];
    tcp.read_exact(&mut bytes).await?;
    Ok(bytes)
}

impl From<SocksServerError> for HandshakeError {
    fn from(error: SocksServerError) -> Self {
        match error {
            SocksServerError::Io { source, .. } => Self::Io(source),
            SocksServerError::UnsupportedSocksVersion(first) => Self::Stranger(Stranger::of(first)),
            SocksServerError::AuthMethodUnacceptable(_) => Self::NoMethod,
            other => Self::Io(io::Error::other(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<Destination> {
        destination(TargetAddr::Domain(text.to_owned(), 80))
    }

    #[test]
    fn names_are_normalised_and_checked() {
        assert_eq!(
            name("API.Example.com."),
            Some(Destination::Name("api.example.com.".to_owned(), 80))
        );
        assert!(name(&["a"; 127].join(".")).is_some(), "253 bytes");
        for impossible in [
            "",
            ".",
            "a..b",
            "a b",
            "a\0b",
            "bücher.example",
            "a/b",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            &"a".repeat(64),
            &["a"; 128].join("."),
        ] {
            assert_eq!(name(impossible), None, "{impossible:?}");
        }
    }

    #[test]
    fn addresses_are_canonical_however_they_are_written() {
        let v4 = Some(Destination::Address("10.0.0.1:80".parse().unwrap()));
        assert_eq!(name("10.0.0.1"), v4);
        assert_eq!(name("::ffff:10.0.0.1"), v4);
        assert_eq!(name("10.0.0.1."), v4);
        let mapped = TargetAddr::Ip("[::ffff:10.0.0.1]:80".parse().unwrap());
        assert_eq!(destination(mapped), v4);
        let v6 = Some(Destination::Address("[2001:db8::1]:80".parse().unwrap()));
        assert_eq!(name("[2001:db8::1]"), v6);
    }
}

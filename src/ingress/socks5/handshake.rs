//! A client up to its request (RFC 1928): greeting, authentication, request.
//!
//! Reads exactly what the protocol says and never ahead, so that bytes a client sends early stay in
//! the socket for the relay.

use std::io;
use std::net::{IpAddr, SocketAddr};

use fast_socks5::ReplyError;
use fast_socks5::consts::{SOCKS5_CMD_TCP_CONNECT, SOCKS5_VERSION};
use fast_socks5::server::{
    AuthMethodSuccessState, NoAuthentication, Socks5ServerProtocol, SocksServerError,
};
use fast_socks5::util::target_addr::{AddrError, TargetAddr, read_address};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::error::HandshakeError;
use super::password::Password;
use super::reply;
use super::stranger::Stranger;
use crate::canonical;
use crate::identity::Login;
use crate::ingress::outcome::Request;
use crate::names::{is_name, without_dot};
use crate::wire::Target;

/// Leads a client up to its request. The client has been told of a failure, as far as the protocol
/// has words for it.
///
/// `users`: `None` asks for no authentication. `client` is where the connection comes from.
pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    tcp: &mut S,
    users: Option<&Login>,
    client: SocketAddr,
) -> Result<Request, HandshakeError> {
    let opened = Socks5ServerProtocol::start(&mut *tcp);
    let user = match users {
        None => {
            let open = opened.negotiate_auth(&[NoAuthentication]).await?;
            open.finish_auth();
            None
        }
        Some(users) => {
            let started = opened.negotiate_auth(&[Password]).await?;
            Some(started.authenticate(users, client.ip()).await?)
        }
    };
    match read_request(tcp).await? {
        Ok(target) => Ok(Request {
            client,
            user,
            target,
        }),
        Err(error) => {
            reply::failed(tcp, error).await?;
            Err(HandshakeError::Request(error))
        }
    }
}

/// Reads the request; the inner error is the reply it deserves.
async fn read_request<S: AsyncRead + Unpin>(
    tcp: &mut S,
) -> Result<Result<Target, ReplyError>, HandshakeError> {
    let mut head = [0; 4];
    tcp.read_exact(&mut head).await?;
    let [version, command, _reserved, address_type] = head;
    if version != SOCKS5_VERSION {
        return Err(HandshakeError::Version(version));
    }
    let address = match read_address(tcp, address_type).await {
        Ok(address) => address,
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
    Ok(target(address).ok_or(ReplyError::HostUnreachable))
}

/// `None`: no name can look like this.
fn target(asked: TargetAddr) -> Option<Target> {
    let address = |ip: IpAddr, port| Target::Address(SocketAddr::new(ip.to_canonical(), port));
    match asked {
        TargetAddr::Ip(asked) => Some(address(asked.ip(), asked.port())),
        TargetAddr::Domain(name, port) => {
            // The trailing dot of a name may stand behind an IPv4 address, too: it is no name then.
            let bare = without_dot(&name);
            if let Ok(ip) = bare.trim_matches(['[', ']']).parse() {
                return Some(address(ip, port));
            }
            // The dot of a name goes on to who resolves it: it keeps search lists out.
            let is_sound = is_name(bare) && !canonical::is_number_address(bare);
            is_sound.then(|| Target::Domain(name.to_ascii_lowercase(), port))
        }
    }
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

    fn name(text: &str) -> Option<Target> {
        target(TargetAddr::Domain(text.to_owned(), 80))
    }

    #[test]
    fn names_are_normalised_and_checked() {
        assert_eq!(
            name("API.Example.com."),
            Some(Target::Domain("api.example.com.".to_owned(), 80))
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
        let v4 = Some(Target::Address("10.0.0.1:80".parse().unwrap()));
        assert_eq!(name("10.0.0.1"), v4);
        assert_eq!(name("::ffff:10.0.0.1"), v4);
        assert_eq!(name("10.0.0.1."), v4);
        let mapped = TargetAddr::Ip("[::ffff:10.0.0.1]:80".parse().unwrap());
        assert_eq!(target(mapped), v4);
        let v6 = Some(Target::Address("[2001:db8::1]:80".parse().unwrap()));
        assert_eq!(name("[2001:db8::1]"), v6);
    }
}

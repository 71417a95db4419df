//! A client up to its request (RFC 1928): greeting, authentication, request.
//!
//! Reads exactly what the protocol says and never ahead, so that bytes a client sends early stay in
//! the socket for the relay.

use std::io;
use std::net::SocketAddr;

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
use crate::identity::Login;
use crate::ingress::outcome::Request;
use crate::ingress::target;
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
    let target = match address {
        TargetAddr::Ip(address) => Some(target::at(address)),
        TargetAddr::Domain(name, port) => target::named(&name, port),
    };
    Ok(target.ok_or(ReplyError::HostUnreachable))
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

//! Replies (RFC 1928 section 6).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use fast_socks5::ReplyError;
use fast_socks5::consts::{SOCKS5_REPLY_SUCCEEDED, SOCKS5_VERSION};
use fast_socks5::util::target_addr::TargetAddr;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::ingress::outcome::Refusal;

/// Tells the client that it is connected; `bound` is the exit's address towards the target.
pub(super) async fn connected<S: AsyncWrite + Unpin>(
    tcp: &mut S,
    bound: Option<SocketAddr>,
) -> io::Result<()> {
    reply(tcp, SOCKS5_REPLY_SUCCEEDED, bound).await
}

/// Tells the client why it is not connected.
pub(super) async fn refused<S: AsyncWrite + Unpin>(
    tcp: &mut S,
    refusal: Refusal,
) -> io::Result<()> {
    failed(tcp, code(refusal)).await
}

/// Tells the client what is wrong with its request.
pub(super) async fn failed<S: AsyncWrite + Unpin>(
    tcp: &mut S,
    error: ReplyError,
) -> io::Result<()> {
    reply(tcp, error.as_u8(), None).await
}

fn code(refusal: Refusal) -> ReplyError {
    match refusal {
        Refusal::Internal => ReplyError::GeneralFailure,
        Refusal::NotAllowed => ReplyError::ConnectionNotAllowed,
        Refusal::NoRoute => ReplyError::NetworkUnreachable,
        Refusal::HostUnreachable => ReplyError::HostUnreachable,
        Refusal::Refused => ReplyError::ConnectionRefused,
        Refusal::TimedOut => ReplyError::TtlExpired,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_code() {
        for (refusal, expected) in [
            (Refusal::Internal, 1),
            (Refusal::NotAllowed, 2),
            (Refusal::NoRoute, 3),
            (Refusal::HostUnreachable, 4),
            (Refusal::Refused, 5),
            (Refusal::TimedOut, 6),
        ] {
            assert_eq!(code(refusal).as_u8(), expected, "{refusal:?}");
        }
    }
}

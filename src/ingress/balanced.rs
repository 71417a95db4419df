//! Who a connection comes from when a load balancer stands between: the header of the PROXY protocol,
//! version 1 or 2 (HAProxy, doc/proxy-protocol.txt of 2020-03-05). Read from those alone that the file
//! names, and from them always: a connection that may or may not begin with a header is one whose
//! source anybody writes (section 2).

use std::io;
use std::net::SocketAddr;

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::canonical;

/// As many bytes tell the versions apart, and no header of either is shorter.
pub(super) const SIGNATURE: usize = v2::PROTOCOL_PREFIX.len();

/// A header of version 2 without its addresses.
const V2_HEAD: usize = 16;

/// The longest header of version 1 (section 2.1).
const V1_MOST: usize = 107;

/// The longest header of version 2 that is read. Addresses and every extension that HAProxy writes fit
/// in a quarter of it; the length field allows 65,551.
const V2_MOST: usize = 2_048;

/// Why a header says nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no PROXY header: {0}")]
    Io(#[from] io::Error),
    #[error("the balancer sent no PROXY header; add `send-proxy` or `send-proxy-v2` there")]
    Missing,
    #[error("a PROXY header of more than {0} bytes")]
    Long(usize),
    #[error("a malformed PROXY header: {0}")]
    Malformed(String),
}

/// Whether that is what follows the first byte of a header, or the first two: SOCKS5 reads its version
/// and the number of methods.
pub(super) fn is_rest(bytes: &[u8]) -> bool {
    let begins = [&b"PROXY "[..], v2::PROTOCOL_PREFIX];
    let mut rests = begins.into_iter().flat_map(|it| [&it[1..], &it[2..]]);
    rests.any(|rest| bytes.starts_with(rest))
}

/// Reads the header and not a byte more. The client's address in canonical form, or `balancer`'s own
/// where the header speaks for the balancer itself (`LOCAL`) or names no IP address (`UNKNOWN`, Unix).
pub async fn client<S: AsyncRead + Unpin>(
    tcp: &mut S,
    balancer: SocketAddr,
) -> Result<SocketAddr, Error> {
    // One that speaks SOCKS5 at once waits for an answer after three bytes.
    let begins = [v1::PROTOCOL_PREFIX.as_bytes()[0], v2::PROTOCOL_PREFIX[0]];
    let first = tcp.read_u8().await?;
    if !begins.contains(&first) {
        return Err(Error::Missing);
    }
    let mut header = vec![first; SIGNATURE];
    tcp.read_exact(&mut header[1..]).await?;
    let told = if header == v2::PROTOCOL_PREFIX {
        read_second(tcp, &mut header).await?
    } else if header.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        read_first(tcp, &mut header).await?
    } else {
        return Err(Error::Missing);
    };
    Ok(told.map_or(balancer, canonical::socket_address))
}

async fn read_first<S: AsyncRead + Unpin>(
    tcp: &mut S,
    header: &mut Vec<u8>,
) -> Result<Option<SocketAddr>, Error> {
    while !header.ends_with(b"\r\n") {
        if header.len() == V1_MOST {
            return Err(Error::Long(V1_MOST));
        }
        header.push(tcp.read_u8().await?);
    }
    let header = v1::Header::try_from(header.as_slice()).map_err(malformed)?;
    Ok(match header.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(it) => Some((it.source_address, it.source_port).into()),
        v1::Addresses::Tcp6(it) => Some((it.source_address, it.source_port).into()),
    })
}

async fn read_second<S: AsyncRead + Unpin>(
    tcp: &mut S,
    header: &mut Vec<u8>,
) -> Result<Option<SocketAddr>, Error> {
    header.resize(V2_HEAD, 0);
    tcp.read_exact(&mut header[SIGNATURE..]).await?;
    let rest = u16::from_be_bytes([header[V2_HEAD - 2], header[V2_HEAD - 1]]);
    let whole = V2_HEAD + usize::from(rest);
    if whole > V2_MOST {
        return Err(Error::Long(V2_MOST));
    }
    header.resize(whole, 0);
    tcp.read_exact(&mut header[V2_HEAD..]).await?;
    let header = v2::Header::try_from(header.as_slice()).map_err(malformed)?;
    if header.command == v2::Command::Local {
        return Ok(None);
    }
    let address = match header.addresses {
        v2::Addresses::IPv4(it) => (it.source_address, it.source_port).into(),
        v2::Addresses::IPv6(it) => (it.source_address, it.source_port).into(),
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => return Ok(None),
    };
    if header.protocol != v2::Protocol::Stream {
        return Err(Error::Malformed("not of a TCP connection".to_owned()));
    }
    for extension in header.tlvs() {
        extension.map_err(malformed)?;
    }
    Ok(Some(address))
}

fn malformed(error: impl std::fmt::Display) -> Error {
    Error::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BALANCER: &str = "192.0.2.1:4000";

    /// What a connection of these bytes is from, and what is left of them for SOCKS5.
    fn read(bytes: &[u8]) -> (Result<String, Error>, Vec<u8>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.build().unwrap();
        let mut rest = bytes;
        let from = runtime.block_on(client(&mut rest, BALANCER.parse().unwrap()));
        (from.map(|from| from.to_string()), rest.to_vec())
    }

    /// A header of version 2.
    fn v2_header(command: u8, family: u8, addresses: &[u8], extensions: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len() + extensions.len()).unwrap();
        let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        header.extend([0x20 | command, family]);
        header.extend(length.to_be_bytes());
        header.extend(addresses);
        header.extend(extensions);
        header
    }

    /// 203.0.113.7:1025 to 192.0.2.9:1080.
    const IPV4: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 9, 4, 1, 4, 56];

    fn mapped() -> Vec<u8> {
        let mut addresses = Vec::new();
        for last in [7, 9] {
            addresses.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, last]);
        }
        addresses.extend([4, 1, 4, 56]);
        addresses
    }

    #[test]
    fn the_client_that_the_header_names_and_what_follows_it() {
        let own = BALANCER;
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (
                b"PROXY TCP4 203.0.113.7 192.0.2.9 1025 1080\r\n".into(),
                "203.0.113.7:1025",
            ),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::9 1 2\r\n".into(),
                "[2001:db8::7]:1",
            ),
            (
                b"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n".into(),
                "203.0.113.7:1",
            ),
            (b"PROXY UNKNOWN\r\n".into(), own),
            (b"PROXY UNKNOWN 203.0.113.7 x 1 2\r\n".into(), own),
            (v2_header(1, 0x11, &IPV4, &[]), "203.0.113.7:1025"),
            (
                v2_header(1, 0x11, &IPV4, &[0x04, 0, 3, 1, 2, 3]),
                "203.0.113.7:1025",
            ),
            (v2_header(1, 0x21, &mapped(), &[]), "203.0.113.7:1025"),
            (v2_header(0, 0x00, &[], &[]), own),
            (v2_header(0, 0x11, &IPV4, &[]), own),
            (v2_header(1, 0x00, &[], &[]), own),
            (v2_header(1, 0x31, &[b'/'; 216], &[]), own),
        ];
        for (header, wanted) in cases {
            let bytes = [header.as_slice(), b"\x05\x01\x00"].concat();
            let (from, rest) = read(&bytes);
            assert_eq!(from.unwrap(), wanted, "{header:?}");
            assert_eq!(rest, b"\x05\x01\x00", "{header:?}");
        }
    }

    #[test]
    fn what_is_no_whole_header_is_nobody() {
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200], b"\r\n"].concat();
        let bad: Vec<Vec<u8>> = vec![
            Vec::new(),
            b"PROXY".into(),
            b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50".into(),
            b"GET / HTTP/1.1\r\n\r\n".into(),
            b"PROXY TCP4 203.0.113.7 192.0.2.9 1025\r\n".into(),
            b"PROXY TCP4 203.0.113.7\0 192.0.2.9 1025 1080\r\n".into(),
            b"PROXY TCP4 2001:db8::7 2001:db8::9 1 2\r\n".into(),
            b"PROXY TCP4 203.0.113.7 192.0.2.9 65536 1\r\n".into(),
            b"PROXY TCP5 203.0.113.7 192.0.2.9 1 1\r\n".into(),
            b"PROXY TCP4 203.0.113.7 192.0.2.9 1 1\n".into(),
            long,
            // Datagrams; a family, a command and a version of nobody; addresses and extensions cut short.
            v2_header(1, 0x12, &IPV4, &[]),
            v2_header(1, 0x41, &IPV4, &[]),
            v2_header(2, 0x11, &IPV4, &[]),
            v2_header(0x11, 0x11, &IPV4, &[]),
            v2_header(1, 0x11, &IPV4[..8], &[]),
            v2_header(1, 0x11, &IPV4, &[0x04, 0, 9, 1]),
            v2_header(1, 0x11, &IPV4, &[0x04]),
            v2_header(1, 0x11, &IPV4, &vec![0; V2_MOST]),
            v2_header(1, 0x11, &IPV4, &[])[..20].to_vec(),
        ];
        for header in bad {
            let (from, _) = read(&header);
            assert!(from.is_err(), "{header:?}: {from:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_no_half_header_names_anybody(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            command in 0_u8..4,
            family in any::<u8>(),
            cut in 0_usize..60,
        ) {
            drop(read(&bytes));
            let header = v2_header(command, family, &bytes, &[]);
            drop(read(&header));
            let half = &header[..cut.min(header.len() - 1)];
            prop_assert!(read(half).0.is_err());
        }
    }
}

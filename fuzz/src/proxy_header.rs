//! What a load balancer that the file names sends before its client's bytes: the header of the PROXY
//! protocol, version 1 or 2, and whatever comes behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};
use warren::ingress::behind_balancer;

/// Longer than the longest header that is read, with something behind it.
const LONGEST: usize = 4_096;

/// Longest headers that must be understood: version 1 (section 2.1 of the specification), and
/// addresses with all that HAProxy adds in version 2.
const V1_LONGEST: usize = 107;
const V2_LONGEST: usize = 2_048;

const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// An address that no seed names.
const BALANCER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 77)), 65_001);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers")
});

/// A connection is from whom its header names, from the balancer where that speaks for itself, or from
/// nobody; and not one byte is read that is the client's.
pub fn run(input: &[u8]) {
    let sent = &input[..input.len().min(LONGEST)];
    let (from, unread) = RUNTIME.block_on(read(sent));
    let header = header(sent);
    match (from, header) {
        (Some(from), Some(header)) => {
            assert_eq!(from, header.from, "misattributed");
            assert_eq!(unread, sent[header.length..], "read ahead");
        }
        (None, Some(header)) => assert!(!header.is_plain, "{header:?} was refused"),
        (Some(from), None) => panic!("{from} out of nothing"),
        (None, None) => {}
    }
}

/// Whom a connection is from that brings all this and then nothing more, and what was not read.
async fn read(sent: &[u8]) -> (Option<SocketAddr>, Vec<u8>) {
    let (mut client, mut server) = duplex(LONGEST);
    client.write_all(sent).await.expect("room for it");
    client.shutdown().await.expect("an open stream");
    let from = behind_balancer(&mut server, BALANCER).await.ok();
    let mut unread = Vec::new();
    server.read_to_end(&mut unread).await.expect("in memory");
    (from, unread)
}

/// A whole header.
#[derive(Debug)]
struct Header {
    length: usize,
    from: SocketAddr,
    /// As balancers write it; of others it is left open whether they are taken.
    is_plain: bool,
}

/// The specification once more (HAProxy, doc/proxy-protocol.txt of 2020-03-05).
fn header(sent: &[u8]) -> Option<Header> {
    match sent.strip_prefix(V2) {
        Some(rest) => second(rest),
        None => first(sent),
    }
}

fn first(sent: &[u8]) -> Option<Header> {
    let end = sent.windows(2).position(|pair| pair == b"\r\n")?;
    let line = str::from_utf8(&sent[..end]).ok()?;
    let words: Vec<&str> = line.split(' ').collect();
    let (from, is_plain) = match words[..] {
        ["PROXY", "UNKNOWN"] => (BALANCER, true),
        ["PROXY", "UNKNOWN", ..] => (BALANCER, false),
        ["PROXY", family, source, destination, port, to] => {
            let ends = [(source, port), (destination, to)];
            let parse = |(ip, port): (&str, &str)| {
                let ip: IpAddr = match family {
                    "TCP4" => ip.parse::<Ipv4Addr>().ok()?.into(),
                    "TCP6" => ip.parse::<Ipv6Addr>().ok()?.into(),
                    _ => return None,
                };
                Some((ip, port.parse::<u16>().ok()?))
            };
            let (ip, number) = parse(ends[0])?;
            let (_, other) = parse(ends[1])?;
            let is_plain = port == number.to_string() && to == other.to_string();
            (SocketAddr::new(ip.to_canonical(), number), is_plain)
        }
        _ => return None,
    };
    let length = end + 2;
    Some(Header {
        length,
        from,
        is_plain: is_plain && length <= V1_LONGEST,
    })
}

fn second(rest: &[u8]) -> Option<Header> {
    let ([kind, family, length @ ..], rest) = rest.split_first_chunk::<4>()?;
    let addresses = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    let length = V2.len() + 4 + addresses.len();
    let is_short = length <= V2_LONGEST;
    let own = |is_plain| {
        Some(Header {
            length,
            from: BALANCER,
            is_plain: is_plain && is_short,
        })
    };
    let (from, rest) = match (kind, family) {
        // It speaks for itself, and whatever it says of addresses is to be ignored.
        (0x20, 0x00) => return own(true),
        (0x20, _) => return own(false),
        (0x21, 0x11) => {
            let ([a, b, c, d, _, _, _, _, port @ .., _, _], rest) =
                addresses.split_first_chunk::<12>()?;
            let ip = Ipv4Addr::new(*a, *b, *c, *d).into();
            (SocketAddr::new(ip, u16::from_be_bytes(*port)), rest)
        }
        (0x21, 0x21) => {
            let (ip, _) = addresses.split_first_chunk::<16>()?;
            let (ports, rest) = addresses.get(32..)?.split_first_chunk::<4>()?;
            let ip = IpAddr::from(Ipv6Addr::from(*ip)).to_canonical();
            let port = u16::from_be_bytes([ports[0], ports[1]]);
            (SocketAddr::new(ip, port), rest)
        }
        // No address that anybody could be known by, and families that are not to come.
        (0x21, _) => return own(false),
        _ => return None,
    };
    are_extensions(rest).then_some(Header {
        length,
        from,
        is_plain: is_short,
    })
}

/// Whether that is nothing but whole extensions: a type, a length of two bytes, and as many bytes.
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(([_, length @ ..], after)) = rest.split_first_chunk::<3>() else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let Some(after) = after.get(length..) else {
            return false;
        };
        rest = after;
    }
    true
}

//! SOCKS5 clients up to their request: after a byte that chooses whether passwords are asked for,
//! what the client sends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};
use warren::identity::{Checks, Login};
use warren::ingress::{HandshakeError, handshake};
use warren::wire::Target;

/// Longer than the longest handshake with something behind it: 257 + 513 + 262 bytes.
const LONGEST: usize = 2_048;

/// argon2id of `p` with the least work that there is.
const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c2FsdCBvZiBhIHRlc3Q$oK1I0Jyv63oXf0hI1uFrANPLEv5elHrJ9zK5aJeuEd8";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers")
});

/// New for each input, so that none is refused for the failures of those before.
fn users() -> Login {
    Login::new("fuzz", [("u", HASH)], Checks::new(1, 1))
}

/// A client gets as far as RFC 1928 and RFC 1929 say, hears what they say, and not one byte is read
/// that is the target's.
pub fn run(input: &[u8]) {
    let Some((mode, sent)) = input.split_first() else {
        return;
    };
    let sent = &sent[..sent.len().min(LONGEST)];
    let users = (mode & 1 == 1).then(users);
    let (result, heard, unread) = RUNTIME.block_on(serve(sent, users.as_ref()));
    let expected = expect(sent, users.is_some());
    match (&result, &expected) {
        (Ok(target), Some(client)) => {
            check_target(target, &client.asked);
            assert_eq!(unread, sent[client.length..], "read ahead");
            assert_eq!(heard, client.replies);
        }
        (Err(HandshakeError::Request(_)), Some(client)) => {
            let reply = heard.strip_prefix(&client.replies[..]);
            let Some([5, 1..=8, 0, 1, 0, 0, 0, 0, 0, 0]) = reply else {
                panic!("no refusal: {heard:?}");
            };
            assert!(!client.is_sound, "{client:?} was refused");
        }
        (Ok(_), None) => panic!("{result:?} out of nothing"),
        (Err(_), Some(client)) => panic!("{result:?} for {client:?}"),
        (Err(_), None) => {}
    }
}

type Served = (Result<Target, HandshakeError>, Vec<u8>, Vec<u8>);

/// What became of a client that sends all this and then nothing more, what it heard, and what was
/// not read.
async fn serve(sent: &[u8], users: Option<&Login>) -> Served {
    let (mut client, mut server) = duplex(2 * LONGEST);
    client.write_all(sent).await.expect("room for it");
    client.shutdown().await.expect("an open stream");
    let source = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let result = handshake(&mut server, users, source)
        .await
        .map(|request| request.target);
    let (mut heard, mut unread) = (Vec::new(), Vec::new());
    server.read_to_end(&mut unread).await.expect("in memory");
    drop(server);
    client.read_to_end(&mut heard).await.expect("in memory");
    (result, heard, unread)
}

/// A client that keeps to the protocol up to a whole request.
#[derive(Debug)]
struct Client<'a> {
    length: usize,
    replies: Vec<u8>,
    asked: Asked<'a>,
    /// It asks for a connection to something that may exist.
    is_sound: bool,
}

#[derive(Debug)]
enum Asked<'a> {
    Ip(SocketAddr),
    Name(&'a [u8], u16),
    Unknown,
}

/// The protocol once more, from the RFCs; `None`: no whole request.
fn expect(sent: &[u8], passwords: bool) -> Option<Client<'_>> {
    let method = if passwords { 2 } else { 0 };
    let (5, rest) = take(sent)? else { return None };
    let (offered, rest) = counted(rest)?;
    if !offered.contains(&method) {
        return None;
    }
    let mut replies = vec![5, method];
    let rest = if passwords {
        let (1, rest) = take(rest)? else { return None };
        let (username, rest) = counted(rest)?;
        let (password, rest) = counted(rest)?;
        if (username, password) != (b"u", b"p") {
            return None;
        }
        replies.extend([1, 0]);
        rest
    } else {
        rest
    };
    let ([5, command, _, kind], rest) = rest.split_first_chunk()? else {
        return None;
    };
    let (asked, rest) = target(*kind, rest)?;
    let is_sound = *command == 1 && asked.may_exist();
    Some(Client {
        length: sent.len() - rest.len(),
        replies,
        asked,
        is_sound,
    })
}

fn target(kind: u8, rest: &[u8]) -> Option<(Asked<'_>, &[u8])> {
    let port = |rest: &'_ [u8]| rest.first_chunk().map(|port| u16::from_be_bytes(*port));
    match kind {
        1 => {
            let (ip, rest) = rest.split_first_chunk::<4>()?;
            let ip = IpAddr::from(Ipv4Addr::from(*ip));
            Some((Asked::Ip((ip, port(rest)?).into()), &rest[2..]))
        }
        4 => {
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            let ip = IpAddr::from(Ipv6Addr::from(*ip));
            Some((Asked::Ip((ip, port(rest)?).into()), &rest[2..]))
        }
        3 => {
            let (name, rest) = counted(rest)?;
            Some((Asked::Name(name, port(rest)?), &rest[2..]))
        }
        _ => Some((Asked::Unknown, rest)),
    }
}

impl Asked<'_> {
    /// Only the plainest names; what else may exist is left to the code under test.
    fn may_exist(&self) -> bool {
        match self {
            Self::Ip(_) => true,
            Self::Name(name, _) => {
                (1..=63).contains(&name.len()) && name.iter().all(u8::is_ascii_alphabetic)
            }
            Self::Unknown => false,
        }
    }
}

fn check_target(target: &Target, asked: &Asked<'_>) {
    match (target, asked) {
        (Target::Address(address), Asked::Ip(asked)) => {
            assert_eq!(address.ip(), asked.ip().to_canonical());
            assert_eq!(address.port(), asked.port());
        }
        (Target::Address(address), Asked::Name(name, port)) => {
            assert_eq!(address.ip(), address.ip().to_canonical());
            assert_eq!(address.port(), *port);
            let name = String::from_utf8_lossy(name);
            let name = name.strip_suffix('.').unwrap_or(&name);
            let ip: IpAddr = name.trim_matches(['[', ']']).parse().expect("an address");
            assert_eq!(ip.to_canonical(), address.ip());
        }
        (Target::Domain(name, named), Asked::Name(asked, port)) => {
            assert_eq!(named, port);
            // The dot of an absolute name is kept, and is no label.
            let asked = asked.strip_suffix(b".").unwrap_or(asked);
            let name = name.strip_suffix('.').unwrap_or(name);
            assert!(asked.eq_ignore_ascii_case(name.as_bytes()));
            assert!(name.len() <= 253 && !name.bytes().any(|byte| byte.is_ascii_uppercase()));
            assert!(name.parse::<IpAddr>().is_err(), "{name} is an address");
            assert!(name.split('.').all(|label| (1..=63).contains(&label.len())));
        }
        (Target::Domain(..), Asked::Ip(_)) | (_, Asked::Unknown) => {
            panic!("{target:?} for {asked:?}")
        }
    }
}

fn take(bytes: &[u8]) -> Option<(u8, &[u8])> {
    bytes.split_first().map(|(first, rest)| (*first, rest))
}

/// A length byte and as many bytes.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = take(bytes)?;
    rest.split_at_checked(length.into())
}

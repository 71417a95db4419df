//! A minimal SOCKS5 client (RFC 1928, RFC 1929) that shows every refusal.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// A connection on which nothing happens for so long hangs.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(40);

pub(crate) const CONNECT: u8 = 1;
pub(crate) const BIND: u8 = 2;

/// Where to connect to.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Ip(SocketAddr),
    Name(String, u16),
    /// Bytes in the place of address type, address and port.
    Raw(Vec<u8>),
}

/// How a SOCKS server refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No acceptable method; 0xff by RFC 1928.
    Method(u8),
    /// Wrong user name or password.
    Login(u8),
    /// The reply code.
    Reply(u8),
    /// The connection ended.
    Io(io::Error),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl From<(&str, u16)> for Address {
    fn from((name, port): (&str, u16)) -> Self {
        Self::Name(name.to_owned(), port)
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Opens a connection without authentication.
pub(crate) fn connect(proxy: SocketAddr, to: impl Into<Address>) -> Result<TcpStream, Refused> {
    request(proxy, None, CONNECT, &to.into())
}

/// The reply code that refuses a connection; panics if it is not refused by a reply.
pub(crate) fn refusal(proxy: SocketAddr, to: impl Into<Address>) -> u8 {
    let to = to.into();
    match request(proxy, None, CONNECT, &to) {
        Err(Refused::Reply(code)) => code,
        other => panic!("{to:?} should be refused with a reply code, got {other:?}"),
    }
}

/// Opens a connection with a user name and password.
pub(crate) fn connect_as(
    proxy: SocketAddr,
    user: &str,
    password: &str,
    to: impl Into<Address>,
) -> Result<TcpStream, Refused> {
    request(proxy, Some((user, password)), CONNECT, &to.into())
}

/// Sends any request; the stream is ready for data when it is granted.
pub(crate) fn request(
    proxy: SocketAddr,
    login: Option<(&str, &str)>,
    command: u8,
    to: &Address,
) -> Result<TcpStream, Refused> {
    request_after(&[], proxy, login, command, to)
}

/// As [`request`], after these bytes.
pub(crate) fn request_after(
    header: &[u8],
    proxy: SocketAddr,
    login: Option<(&str, &str)>,
    command: u8,
    to: &Address,
) -> Result<TcpStream, Refused> {
    let mut stream = TcpStream::connect(proxy)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_nodelay(true)?;
    stream.write_all(header)?;
    greet(&mut stream, login)?;
    let mut bytes = vec![5, command, 0];
    bytes.extend(to.to_bytes());
    stream.write_all(&bytes)?;
    read_reply(&mut stream)?;
    Ok(stream)
}

fn greet(stream: &mut TcpStream, login: Option<(&str, &str)>) -> Result<(), Refused> {
    let method = if login.is_some() { 2 } else { 0 };
    stream.write_all(&[5, 1, method])?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen)?;
    assert_eq!(chosen[0], 5, "SOCKS version");
    if chosen[1] != method {
        return Err(Refused::Method(chosen[1]));
    }
    let Some((user, password)) = login else {
        return Ok(());
    };
    let mut bytes = vec![1];
    for text in [user, password] {
        bytes.push(u8::try_from(text.len()).expect("at most 255 bytes"));
        bytes.extend(text.as_bytes());
    }
    stream.write_all(&bytes)?;
    let mut status = [0; 2];
    stream.read_exact(&mut status)?;
    match status {
        [1, 0] => Ok(()),
        [1, code] => Err(Refused::Login(code)),
        other => panic!("{other:?} is not a reply of RFC 1929"),
    }
}

/// Reads the reply to a request, its bound address included.
pub(crate) fn read_reply(stream: &mut TcpStream) -> Result<(), Refused> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    assert_eq!(
        (head[0], head[2]),
        (5, 0),
        "SOCKS version and reserved byte"
    );
    let length = match head[3] {
        1 => 4,
        4 => 16,
        3 => {
            let mut length = [0];
            stream.read_exact(&mut length)?;
            usize::from(length[0])
        }
        other => panic!("address type {other} in a reply"),
    };
    stream.read_exact(&mut vec![0; length + 2])?;
    match head[1] {
        0 => Ok(()),
        code => Err(Refused::Reply(code)),
    }
}

impl Address {
    /// Address type, address and port as RFC 1928 writes them.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Ip(address) => {
                match address.ip() {
                    IpAddr::V4(ip) => {
                        bytes.push(1);
                        bytes.extend(ip.octets());
                    }
                    IpAddr::V6(ip) => {
                        bytes.push(4);
                        bytes.extend(ip.octets());
                    }
                }
                bytes.extend(address.port().to_be_bytes());
            }
            Self::Name(name, port) => {
                bytes.push(3);
                bytes.push(u8::try_from(name.len()).expect("at most 255 bytes"));
                bytes.extend(name.as_bytes());
                bytes.extend(port.to_be_bytes());
            }
            Self::Raw(raw) => bytes.extend(raw),
        }
        bytes
    }
}

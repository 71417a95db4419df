//! A minimal SOCKS5 client (RFC 1928, RFC 1929): CONNECT only.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest a connect may take, handshake included: twice what an exit allows a target.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USERNAME_PASSWORD: u8 = 2;

/// Why a connection to a target was not made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot connect to {address}")]
    Tcp {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("the SOCKS5 handshake with {proxy} for {target} broke")]
    Handshake {
        proxy: SocketAddr,
        target: Target,
        #[source]
        source: io::Error,
    },
    #[error("{proxy} answered {target} with reply {reply:#04x} ({})", reply_name(*.reply))]
    Refused {
        proxy: SocketAddr,
        target: Target,
        reply: u8,
    },
    #[error("{proxy} does not speak SOCKS5 as offered: {detail}")]
    Protocol { proxy: SocketAddr, detail: String },
    #[error("no connection to {target} within {limit:?}")]
    TimedOut { target: Target, limit: Duration },
}

/// A text that is no target or proxy.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not {1}")]
pub struct ParseError(String, &'static str);

/// Where a load connects to: an address or a name that the exit resolves, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Address(SocketAddr),
    /// At most 255 bytes.
    Name(String, u16),
}

/// A SOCKS5 proxy: `[user:password@]address:port`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub address: SocketAddr,
    pub credentials: Option<(String, String)>,
}

/// How a load reaches its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    Direct,
    Via(Proxy),
}

impl Route {
    /// Through the proxy at this address, without credentials.
    pub fn via(address: SocketAddr) -> Self {
        Self::Via(Proxy {
            address,
            credentials: None,
        })
    }

    /// Connects to `target`, with Nagle's algorithm off.
    pub async fn connect(&self, target: &Target) -> Result<TcpStream, ConnectError> {
        self.connect_within(target, CONNECT_LIMIT).await
    }

    /// The same with another limit than [`CONNECT_LIMIT`].
    pub async fn connect_within(
        &self,
        target: &Target,
        limit: Duration,
    ) -> Result<TcpStream, ConnectError> {
        let connecting = async {
            match self {
                Self::Direct => dial(&target.to_string()).await,
                Self::Via(proxy) => proxy.connect(target).await,
            }
        };
        tokio::time::timeout(limit, connecting)
            .await
            .unwrap_or_else(|_| {
                Err(ConnectError::TimedOut {
                    target: target.clone(),
                    limit,
                })
            })
    }
}

async fn dial(address: &str) -> Result<TcpStream, ConnectError> {
    let failed = |source| ConnectError::Tcp {
        address: address.to_owned(),
        source,
    };
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

impl Proxy {
    async fn connect(&self, target: &Target) -> Result<TcpStream, ConnectError> {
        let broke = |source| ConnectError::Handshake {
            proxy: self.address,
            target: target.clone(),
            source,
        };
        let mut stream = dial(&self.address.to_string()).await?;
        self.authenticate(&mut stream)
            .await
            .map_err(|error| match error {
                Greeting::Io(source) => broke(source),
                Greeting::Protocol(detail) => ConnectError::Protocol {
                    proxy: self.address,
                    detail,
                },
            })?;
        stream.write_all(&request(target)).await.map_err(broke)?;
        let reply = read_reply(&mut stream).await.map_err(broke)?;
        if reply != 0 {
            return Err(ConnectError::Refused {
                proxy: self.address,
                target: target.clone(),
                reply,
            });
        }
        Ok(stream)
    }

    async fn authenticate(&self, stream: &mut TcpStream) -> Result<(), Greeting> {
        let method = if self.credentials.is_some() {
            USERNAME_PASSWORD
        } else {
            NO_AUTHENTICATION
        };
        stream.write_all(&[VERSION, 1, method]).await?;
        let mut choice = [0; 2];
        stream.read_exact(&mut choice).await?;
        if choice != [VERSION, method] {
            return Err(Greeting::Protocol(format!(
                "offered method {method:#04x}, it chose {choice:02x?}"
            )));
        }
        let Some((user, password)) = &self.credentials else {
            return Ok(());
        };
        let mut message = vec![1, user.len() as u8];
        message.extend_from_slice(user.as_bytes());
        message.push(password.len() as u8);
        message.extend_from_slice(password.as_bytes());
        stream.write_all(&message).await?;
        let mut status = [0; 2];
        stream.read_exact(&mut status).await?;
        if status[1] != 0 {
            return Err(Greeting::Protocol("it refused the password".to_owned()));
        }
        Ok(())
    }
}

/// What can go wrong before the request.
enum Greeting {
    Io(io::Error),
    Protocol(String),
}

impl From<io::Error> for Greeting {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// RFC 1928 section 4, command CONNECT.
fn request(target: &Target) -> Vec<u8> {
    let mut message = vec![VERSION, 1, 0];
    let port = match target {
        Target::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    message.push(1);
                    message.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    message.push(4);
                    message.extend_from_slice(&ip.octets());
                }
            }
            address.port()
        }
        Target::Name(name, port) => {
            message.extend_from_slice(&[3, name.len() as u8]);
            message.extend_from_slice(name.as_bytes());
            *port
        }
    };
    message.extend_from_slice(&port.to_be_bytes());
    message
}

/// RFC 1928 section 6; returns the reply field. A failed request's bound address is not read,
/// because some servers close without it.
async fn read_reply(stream: &mut TcpStream) -> io::Result<u8> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    if head[1] != 0 {
        return Ok(head[1]);
    }
    let length = match head[3] {
        1 => size_of::<Ipv4Addr>(),
        4 => size_of::<Ipv6Addr>(),
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut bound = vec![0; length + 2];
    stream.read_exact(&mut bound).await?;
    Ok(head[1])
}

fn reply_name(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed by rule",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "timed out",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unassigned",
    }
}

impl FromStr for Target {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let bad = || ParseError(text.to_owned(), "an address or name with a port");
        let (name, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        if name.is_empty() || name.len() > 255 || name.contains([':', '/', '@']) {
            return Err(bad());
        }
        Ok(Self::Name(name.to_owned(), port))
    }
}

impl FromStr for Proxy {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError(text.to_owned(), "[user:password@]address:port");
        let (credentials, address) = match text.rsplit_once('@') {
            None => (None, text),
            Some((credentials, address)) => {
                let (user, password) = credentials.split_once(':').ok_or_else(bad)?;
                if user.len() > 255 || password.len() > 255 {
                    return Err(bad());
                }
                (Some((user.to_owned(), password.to_owned())), address)
            }
        };
        Ok(Self {
            address: address.parse().map_err(|_| bad())?,
            credentials,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = if self.credentials.is_some() {
            "***@"
        } else {
            ""
        };
        write!(f, "{credentials}{}", self.address)
    }
}

#[cfg(test)]
mod tests;

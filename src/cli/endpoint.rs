//! Where an API is served.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use hyper::Uri;

use crate::config::HostPort;

/// Of a URL without a port.
const HTTP_PORT: u16 = 80;

/// Where an API is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Http(HostPort),
    Socket(PathBuf),
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(at) => write!(f, "http://{at}"),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Api {
    type Err = &'static str;

    /// Reads `http://host:port`, or a path; the scheme may be left out, the port is then 80.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "not a URL; write `http://host:port`, or the path of a socket";
        if text.is_empty() {
            return Err("it is empty: unset WARREN_API, or write `http://host:port`");
        }
        let path = text.strip_prefix("unix:");
        if let Some(path) = path.or_else(|| text.starts_with(['/', '.']).then_some(text)) {
            return Ok(Self::Socket(path.into()));
        }
        let url: Uri = text.parse().map_err(|_| WANTED)?;
        if url.scheme_str().is_some_and(|scheme| scheme != "http") {
            return Err("only http is spoken; reach a distant agent through a tunnel of yours");
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err("give the agent's address without a path");
        }
        let authority = url.authority().ok_or(WANTED)?;
        if authority.as_str().contains('@') {
            return Err("give the token by --token or WARREN_TOKEN, not in the URL");
        }
        let host = authority.host();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str() == host => HTTP_PORT,
            None => return Err("a port is a number up to 65535; write `http://host:port`"),
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        Ok(Self::Http(HostPort {
            host: bare.unwrap_or(host).to_owned(),
            port,
        }))
    }
}

//! A minimal HTTP client.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An agent answers in milliseconds; a stopped one never does.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON; panics if it is not.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {self:#?}"))
    }
}

/// Asks with GET.
pub(crate) fn get(server: SocketAddr, path: &str) -> io::Result<Answer> {
    send(
        server,
        &format!("GET {path} HTTP/1.0\r\nhost: {server}\r\n\r\n"),
    )
}

/// Asks with POST and an empty body.
pub(crate) fn post(server: SocketAddr, path: &str) -> io::Result<Answer> {
    send(
        server,
        &format!("POST {path} HTTP/1.0\r\nhost: {server}\r\ncontent-length: 0\r\n\r\n"),
    )
}

/// Sends a request as it stands and reads the answer up to the end of the connection.
pub(crate) fn send(server: SocketAddr, request: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {text:?}"));
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Answer {
        status: status.ok_or_else(malformed)?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

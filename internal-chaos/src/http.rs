//! A minimal HTTP/1.1 client for an agent's own endpoints: GET, one request per connection.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer that is read: the topology of a small mesh takes a few KiB.
const MOST_BYTES: u64 = 1024 * 1024;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Asks `GET path`.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(address)
        .await
        .context("cannot connect")?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).await?;
    parse(&answer).context("the answer is not HTTP")
}

/// Asks `GET path` and reads the answer as JSON; any status but 200 is an error.
pub async fn json(address: SocketAddr, path: &str) -> anyhow::Result<Value> {
    let answer = get(address, path).await?;
    ensure!(answer.status == 200, "{path} answers {}", answer.status);
    serde_json::from_slice(&answer.body).with_context(|| format!("{path} is not JSON"))
}

fn parse(answer: &[u8]) -> Option<Answer> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let line = answer.split(|&byte| byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    let status = words.next()?.parse().ok()?;
    let end = answer
        .windows(END_OF_HEAD.len())
        .position(|window| window == END_OF_HEAD);
    let body = end.map_or(&[][..], |end| &answer[end + END_OF_HEAD.len()..]);
    Some(Answer {
        status,
        body: body.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_bodies() {
        let answer = |status, body: &[u8]| {
            Some(Answer {
                status,
                body: body.to_vec(),
            })
        };
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\nREADY\r\n\r\n"),
            answer(200, b"READY\r\n\r\n")
        );
        assert_eq!(
            parse(b"HTTP/1.1 503 Service Unavailable\r\n"),
            answer(503, b"")
        );
        assert_eq!(parse(b"SSH-2.0-x\r\n"), None);
        assert_eq!(parse(b""), None);
    }
}

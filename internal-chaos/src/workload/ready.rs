//! Waits for what was just started: an agent's `/ready`, or a port that accepts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How often it is tried.
const POLL: Duration = Duration::from_millis(20);

/// The longest one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Asks `GET /ready` until it answers 200, for at most `time`.
pub async fn wait(address: SocketAddr, time: Duration) -> anyhow::Result<()> {
    let ask = async || match status(address).await? {
        200 => Ok(()),
        code => bail!("it answers {code}"),
    };
    poll(ask, time)
        .await
        .with_context(|| format!("http://{address}/ready is not ready after {time:?}"))
}

/// Connects to `address` until something accepts, for at most `time`.
pub async fn listening(address: SocketAddr, time: Duration) -> anyhow::Result<()> {
    let knock = async || Ok(TcpStream::connect(address).await.map(drop)?);
    poll(knock, time)
        .await
        .with_context(|| format!("nothing listens on {address} after {time:?}"))
}

/// Tries until it succeeds or `time` is over; then the last failure is the answer.
async fn poll(attempt: impl AsyncFn() -> anyhow::Result<()>, time: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let outcome = tokio::time::timeout(ANSWER_LIMIT, attempt())
            .await
            .unwrap_or_else(|_| bail!("no answer within {ANSWER_LIMIT:?}"));
        if outcome.is_ok() || started.elapsed() >= time {
            return outcome;
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn status(address: SocketAddr) -> anyhow::Result<u16> {
    let mut stream = TcpStream::connect(address)
        .await
        .context("cannot connect")?;
    let request = format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).await?;
    parse_status(&answer).context("the answer is not HTTP")
}

fn parse_status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|&byte| byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        assert_eq!(parse_status(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n"), Some(200));
        assert_eq!(
            parse_status(b"HTTP/1.1 503 Service Unavailable\r\n"),
            Some(503)
        );
        assert_eq!(parse_status(b"SSH-2.0-x\r\n"), None);
        assert_eq!(parse_status(b""), None);
    }
}

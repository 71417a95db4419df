//! Waits for what was just started: an agent's `/ready`, or a port that accepts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::net::TcpStream;

use crate::http;

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
    Ok(http::get(address, "/ready").await?.status)
}

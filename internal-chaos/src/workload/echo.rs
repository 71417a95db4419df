//! Round trips of one byte: on one connection, or each on a connection of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::socks::{Route, Target};
use crate::stats::percentile;

/// The longest that one echo may take before it counts as failed.
pub const ECHO_LIMIT: Duration = Duration::from_secs(10);

/// A load of echoes, one after the other. It ends at whichever limit comes first.
#[derive(Clone, Debug)]
pub struct Plan {
    pub route: Route,
    /// An echo server.
    pub target: Target,
    pub samples: u32,
    pub time: Duration,
    /// Rest between two samples.
    pub pause: Duration,
    /// A new connection for every sample, its connect included in the time.
    pub reconnect: bool,
}

/// Latencies of a load, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub samples: usize,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

impl Report {
    /// Sums `latencies` up; `None` if there are none.
    pub fn of(mut latencies: Vec<Duration>) -> Option<Self> {
        latencies.sort();
        let micros = |value: Duration| value.as_secs_f64() * 1e6;
        Some(Self {
            samples: latencies.len(),
            p50_us: percentile(&latencies, 50.0).map(micros)?,
            p99_us: percentile(&latencies, 99.0).map(micros)?,
            max_us: percentile(&latencies, 100.0).map(micros)?,
        })
    }
}

/// Runs the load; any failed echo fails it.
pub async fn run(plan: &Plan) -> anyhow::Result<Report> {
    let connect = || plan.route.connect(&plan.target);
    let mut kept = if plan.reconnect {
        None
    } else {
        Some(connect().await?)
    };
    let started = Instant::now();
    let mut latencies = Vec::new();
    for number in 0..plan.samples {
        if started.elapsed() >= plan.time {
            break;
        }
        let byte = number as u8;
        let begun = Instant::now();
        match &mut kept {
            Some(stream) => ping(stream, byte).await?,
            None => ping(&mut connect().await?, byte).await?,
        }
        latencies.push(begun.elapsed());
        tokio::time::sleep(plan.pause).await;
    }
    Report::of(latencies).context("no echo was asked for")
}

/// Sends one byte and waits for it to come back.
pub async fn ping(stream: &mut TcpStream, byte: u8) -> anyhow::Result<()> {
    ping_within(stream, byte, ECHO_LIMIT).await
}

/// The same with another limit than [`ECHO_LIMIT`].
pub async fn ping_within(stream: &mut TcpStream, byte: u8, limit: Duration) -> anyhow::Result<()> {
    let exchange = async {
        stream.write_u8(byte).await?;
        stream.read_u8().await
    };
    let echoed = tokio::time::timeout(limit, exchange)
        .await
        .with_context(|| format!("no echo within {limit:?}"))?
        .context("the connection broke before the echo")?;
    ensure!(echoed == byte, "sent {byte:#04x}, {echoed:#04x} came back");
    Ok(())
}

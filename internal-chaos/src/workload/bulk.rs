//! Bulk transfers in either direction, every byte checked.
//!
//! A transfer begins with a request of 25 bytes: direction, seed, byte limit, time limit in
//! milliseconds (u64, big endian). Then the sender's segments follow (see [`super::pattern`]). The
//! receiver of an upload answers with what it checked.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::pattern::{self, Checker, PatternError, SEGMENT};
use super::socks::{Route, Target};

/// Bytes read at once: enough that system calls do not matter.
const READ_BUFFER: usize = 256 * 1024;

/// How much longer than its time limit a transfer may take to drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// The longest that any transfer may take, one without a time limit included.
const LONGEST: Duration = Duration::from_secs(600);

/// Which way the data flows, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Download,
    Upload,
}

/// What one transfer should carry. It ends at whichever limit comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub direction: Direction,
    /// Where in the pattern the transfer begins.
    pub seed: u64,
    pub bytes: u64,
    pub time: Duration,
}

/// A load of parallel transfers.
#[derive(Clone, Debug)]
pub struct Plan {
    pub route: Route,
    pub target: Target,
    pub connections: u32,
    /// Connection `n` adds `n` to the seed, so that mixed-up streams show.
    pub request: Request,
}

/// What a load of parallel transfers saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub connections: u32,
    /// Data bytes of all connections, each checked by its receiver.
    pub bytes: u64,
    /// From the first request to the last end.
    pub seconds: f64,
    pub gbit_per_second: f64,
    pub slowest_bytes: u64,
    pub fastest_bytes: u64,
    /// The longest time in which one download saw nothing arrive; 0 for uploads.
    pub longest_gap_ms: f64,
}

/// One received transfer.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub bytes: u64,
    pub longest_gap: Duration,
}

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error("the connection broke after {bytes} bytes")]
    Io {
        bytes: u64,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl Request {
    pub const LENGTH: usize = 25;

    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let millis = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX);
        let mut out = [0; Self::LENGTH];
        out[0] = match self.direction {
            Direction::Download => b'D',
            Direction::Upload => b'U',
        };
        out[1..9].copy_from_slice(&self.seed.to_be_bytes());
        out[9..17].copy_from_slice(&self.bytes.to_be_bytes());
        out[17..].copy_from_slice(&millis.to_be_bytes());
        out
    }

    /// `None`: no direction that we know.
    pub fn decode(wire: &[u8; Self::LENGTH]) -> Option<Self> {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&wire[at..at + 8]);
            u64::from_be_bytes(bytes)
        };
        Some(Self {
            direction: match wire[0] {
                b'D' => Direction::Download,
                b'U' => Direction::Upload,
                _ => return None,
            },
            seed: number(1),
            bytes: number(9),
            time: Duration::from_millis(number(17)),
        })
    }
}

/// Runs the load; any failed or inexact transfer fails it.
pub async fn run(plan: &Plan) -> anyhow::Result<Report> {
    let mut streams = Vec::new();
    for _ in 0..plan.connections {
        streams.push(plan.route.connect(&plan.target).await?);
    }
    let started = Instant::now();
    let mut transfers = JoinSet::new();
    for (stream, number) in streams.into_iter().zip(0..) {
        let request = Request {
            seed: plan.request.seed.wrapping_add(number),
            ..plan.request
        };
        transfers.spawn(async move {
            let limit = request.time.min(LONGEST) + DRAIN_LIMIT;
            tokio::time::timeout(limit, transfer(stream, request))
                .await
                .with_context(|| format!("transfer {number} did not end within {limit:?}"))?
                .with_context(|| format!("transfer {number}"))
        });
    }
    let mut received = Vec::new();
    while let Some(joined) = transfers.join_next().await {
        received.push(joined.context("a transfer panicked")??);
    }
    Ok(report(&received, started.elapsed()))
}

fn report(received: &[Received], elapsed: Duration) -> Report {
    let bytes = received.iter().map(|one| one.bytes).sum();
    let seconds = elapsed.as_secs_f64();
    let gap = received.iter().map(|one| one.longest_gap).max();
    Report {
        connections: u32::try_from(received.len()).unwrap_or(u32::MAX),
        bytes,
        seconds,
        gbit_per_second: bytes as f64 * 8.0 / 1e9 / seconds,
        slowest_bytes: received.iter().map(|one| one.bytes).min().unwrap_or(0),
        fastest_bytes: received.iter().map(|one| one.bytes).max().unwrap_or(0),
        longest_gap_ms: gap.unwrap_or_default().as_secs_f64() * 1e3,
    }
}

/// One transfer over an open connection, from the client's side.
pub async fn transfer(mut stream: TcpStream, request: Request) -> anyhow::Result<Received> {
    stream.write_all(&request.encode()).await?;
    match request.direction {
        Direction::Download => {
            let received = receive(&mut stream, request.seed, ReadUntil::Close).await?;
            ensure!(
                request.time < Duration::MAX || received.bytes == request.bytes,
                "{} bytes arrived of {}",
                received.bytes,
                request.bytes
            );
            Ok(received)
        }
        Direction::Upload => {
            let sent = send(&mut stream, request).await?;
            let mut answer = [0; 8];
            stream
                .read_exact(&mut answer)
                .await
                .context("the target did not confirm the upload")?;
            let confirmed = u64::from_be_bytes(answer);
            if confirmed != sent {
                bail!("the target checked {confirmed} bytes of {sent}");
            }
            Ok(Received {
                bytes: sent,
                longest_gap: Duration::ZERO,
            })
        }
    }
}

/// Sends the pattern until a limit of `request` is reached; returns the data bytes.
pub async fn send<W: AsyncWrite + Unpin>(
    stream: &mut W,
    request: Request,
) -> Result<u64, TransferError> {
    let started = Instant::now();
    let mut sent = 0;
    while sent < request.bytes && started.elapsed() < request.time {
        let segment = SEGMENT.min(request.bytes - sent);
        send_segment(stream, request.seed, sent, segment).await?;
        sent += segment;
    }
    send_end(stream, sent).await?;
    Ok(sent)
}

/// Sends one segment of `length` bytes (1 to [`SEGMENT`]), which follow the first `sent`.
pub async fn send_segment<W: AsyncWrite + Unpin>(
    stream: &mut W,
    seed: u64,
    sent: u64,
    length: u64,
) -> Result<(), TransferError> {
    let broke = |bytes| move |source| TransferError::Io { bytes, source };
    stream
        .write_all(&length.to_be_bytes())
        .await
        .map_err(broke(sent))?;
    let mut at = sent;
    let end = sent + length;
    while at < end {
        let piece = pattern::slice(seed, at, end - at);
        stream.write_all(piece).await.map_err(broke(at))?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// Ends a transfer of `sent` bytes.
pub async fn send_end<W: AsyncWrite + Unpin>(
    stream: &mut W,
    sent: u64,
) -> Result<(), TransferError> {
    let ending = async {
        stream.write_all(&0_u64.to_be_bytes()).await?;
        stream.flush().await
    };
    ending.await.map_err(|source| TransferError::Io {
        bytes: sent,
        source,
    })
}

/// When a receiver is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadUntil {
    /// The sender closes its side after the transfer, and nothing may come in between.
    Close,
    /// The closing length is enough; the sender waits for an answer.
    Complete,
}

/// Receives and checks a transfer.
pub async fn receive<R: AsyncRead + Unpin>(
    stream: &mut R,
    seed: u64,
    until: ReadUntil,
) -> Result<Received, TransferError> {
    receive_watched(stream, seed, until, |_, _| {}).await
}

/// As [`receive`]; `watch` hears of every read: when, and how many bytes.
pub async fn receive_watched<R: AsyncRead + Unpin>(
    stream: &mut R,
    seed: u64,
    until: ReadUntil,
    mut watch: impl FnMut(Instant, usize),
) -> Result<Received, TransferError> {
    let mut checker = Checker::new(seed);
    let mut buffer = vec![0; READ_BUFFER];
    let mut longest_gap = Duration::ZERO;
    let mut last = Instant::now();
    loop {
        if until == ReadUntil::Complete && checker.is_complete() {
            break;
        }
        let count = stream
            .read(&mut buffer)
            .await
            .map_err(|source| TransferError::Io {
                bytes: checker.checked(),
                source,
            })?;
        let now = Instant::now();
        longest_gap = longest_gap.max(now - last);
        last = now;
        if count == 0 {
            break;
        }
        watch(now, count);
        checker.feed(&buffer[..count])?;
    }
    Ok(Received {
        bytes: checker.finish()?,
        longest_gap,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_the_wire() {
        let request = Request {
            direction: Direction::Upload,
            seed: 7,
            bytes: u64::MAX,
            time: Duration::from_millis(1_234),
        };
        assert_eq!(Request::decode(&request.encode()), Some(request));
        assert_eq!(Request::decode(&[0; Request::LENGTH]), None);
    }

    #[tokio::test]
    async fn a_cut_transfer_is_an_error() {
        let request = Request {
            direction: Direction::Download,
            seed: 1,
            bytes: 3 * SEGMENT / 2,
            time: Duration::MAX,
        };
        let mut wire = Vec::new();
        assert_eq!(send(&mut wire, request).await.unwrap(), request.bytes);
        let whole = receive(&mut &wire[..], 1, ReadUntil::Close).await.unwrap();
        assert_eq!(whole.bytes, request.bytes);
        let cut = &wire[..wire.len() - 1];
        let error = receive(&mut &cut[..], 1, ReadUntil::Close)
            .await
            .unwrap_err();
        assert!(matches!(
            error,
            TransferError::Pattern(PatternError::Truncated { .. })
        ));
    }
}

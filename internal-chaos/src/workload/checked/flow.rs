//! One chained stream over one connection: sending at a pace, and receiving with an eye on stalls.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::chain::{Chain, ChainError, Checker, LARGEST, Record};
use super::histogram::Histogram;
use super::watch::Watch;

/// How often a paced sender sends, and a slow reader reads: the resolution of a stall.
const TICK: Duration = Duration::from_millis(5);

/// How much a sender sends, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Data bytes.
    pub bytes: u64,
    pub time: Duration,
    /// Data bytes per second; 0 is as fast as it goes.
    pub pace: u64,
}

/// What a receiver saw.
#[derive(Clone, Debug)]
pub struct Received {
    /// Exact bytes, and those of the piece in which something was wrong.
    pub bytes: u64,
    /// The exact prefix.
    pub exact: u64,
    pub stalls: Histogram,
    pub end: End,
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Its last record arrived: all that was sent is here.
    Complete,
    /// The connection ended or broke before.
    Cut(String),
    Damaged(ChainError),
}

/// Until when a receiver reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The last record; something else may follow.
    LastRecord,
    /// The end of the connection, with nothing between it and the last record.
    Close,
}

/// A reader that takes no more than so much, and the rest as fast as it comes: senders have ended
/// by then, and what is under way may be many MiB.
#[derive(Clone, Copy, Debug)]
pub struct Slow {
    /// Bytes per second.
    pub pace: u64,
    pub until: Instant,
}

/// Reads per second of a slow reader.
const TICKS_PER_SECOND: u64 = 200;

impl Slow {
    /// Bytes of one read.
    fn each(self) -> usize {
        let each = usize::try_from(self.pace / TICKS_PER_SECOND);
        each.map_or(LARGEST, |each| each.clamp(1, LARGEST))
    }
}

impl Limits {
    /// Data bytes of one tick of a paced sender, at least 1.
    fn each(self) -> u64 {
        let each = u128::from(self.pace) * TICK.as_micros() / 1_000_000;
        u64::try_from(each).unwrap_or(u64::MAX).max(1)
    }
}

/// Sends a stream until a limit is reached or `watch` is told to stop; returns the data bytes.
pub async fn send<W: AsyncWrite + Unpin>(
    stream: &mut W,
    seed: u64,
    limits: Limits,
    watch: &Watch,
) -> io::Result<u64> {
    let mut chain = Chain::new(seed);
    let mut tick = interval(TICK);
    // No burst after a stall: what was not sent then is not owed.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let began = Instant::now();
    let is_over =
        |sent: u64| watch.is_stopped() || sent >= limits.bytes || began.elapsed() >= limits.time;
    while !is_over(chain.bytes()) {
        let mut due = LARGEST as u64;
        if limits.pace > 0 {
            tick.tick().await;
            due = limits.each();
        }
        due = due.min(limits.bytes - chain.bytes());
        while due > 0 {
            let length = usize::try_from(due).map_or(LARGEST, |due| due.min(LARGEST));
            write(stream, &chain.record(length)).await?;
            due -= length as u64;
        }
    }
    let sent = chain.bytes();
    write(stream, &chain.end()).await?;
    stream.flush().await?;
    Ok(sent)
}

/// Sends one record.
pub async fn write<W: AsyncWrite + Unpin>(stream: &mut W, record: &Record) -> io::Result<()> {
    stream.write_all_buf(&mut record.wire()).await
}

/// Receives and checks a stream, until the deadline at most; as fast as it comes, unless `slow`. The
/// watch hears of every read.
pub async fn receive<R: AsyncRead + Unpin>(
    stream: &mut R,
    seed: u64,
    until: Until,
    slow: Option<Slow>,
    (deadline, watch): (Instant, &Watch),
) -> Received {
    let mut checker = Checker::new(seed);
    let mut stalls = Histogram::default();
    let mut buffer = vec![0; LARGEST];
    let mut last = Instant::now();
    // Bytes of the piece in which something was wrong.
    let mut wrong = 0;
    let end = loop {
        if until == Until::LastRecord && checker.is_complete() {
            break End::Complete;
        }
        if Instant::now() >= deadline {
            // A read that never waits never times out.
            break End::Cut("it went on for too long".to_owned());
        }
        let mut room = LARGEST;
        if let Some(slow) = slow.filter(|slow| Instant::now() < slow.until) {
            tokio::time::sleep(TICK).await;
            // What a slow reader does not ask for is no stall of the mesh.
            last = Instant::now();
            room = slow.each();
        }
        if until == Until::LastRecord {
            // What follows the last record is not ours to take.
            room = room.min(checker.wanted());
        }
        let reading = timeout_at(deadline, stream.read(&mut buffer[..room]));
        let count = match reading.await {
            Ok(Ok(0)) if checker.is_complete() => break End::Complete,
            Ok(Ok(0)) => break End::Cut("the connection ended early".to_owned()),
            Ok(Ok(count)) => count,
            Ok(Err(error)) => break End::Cut(error.to_string()),
            Err(_) => break End::Cut("it hung".to_owned()),
        };
        stalls.add(last.elapsed());
        last = Instant::now();
        watch.arrived(last.into_std(), count);
        if let Err(error) = checker.feed(&buffer[..count]) {
            wrong = count;
            break End::Damaged(error);
        }
    };
    if !matches!(end, End::Complete) {
        // The silence before the break counts, too.
        stalls.add(last.elapsed());
    }
    let exact = checker.exact();
    Received {
        bytes: exact + wrong as u64,
        exact,
        stalls,
        end,
    }
}

//! What a client asks for, and what the target answers when it has checked an upload.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::flow::{End, Limits, Received};
use super::histogram::Histogram;

/// The longest answer: some hundred bytes are usual.
const LONGEST_ANSWER: u32 = 16 * 1024;

/// Added to the seed of a stream to the client, so that what comes back is never what was sent.
const BACK: u64 = 1 << 32;

/// What the target shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Send, receive, or both at once; an answer follows if something was received.
    Streams { down: bool, up: bool },
    /// Receive until the client closes its side, then answer, then send.
    HalfClose,
    /// A record for every length that arrives; 0 ends it.
    Request,
}

/// The first bytes of every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) mode: Mode,
    pub(super) seed: u64,
    /// Data bytes to send.
    pub(super) bytes: u64,
    /// To send for at most.
    pub(super) time: Duration,
    /// Bytes per second to send; 0: as fast as it goes.
    pub(super) pace: u64,
}

/// What the target saw of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub bytes: u64,
    /// The exact prefix.
    pub exact: u64,
    /// The last record arrived.
    pub complete: bool,
    pub damage: Option<String>,
    pub stalls: Histogram,
}

impl Request {
    const LENGTH: usize = 33;

    /// The seed of the stream to the client.
    pub(super) fn down_seed(&self) -> u64 {
        self.seed.wrapping_add(BACK)
    }

    /// What the target may send.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            bytes: self.bytes,
            time: self.time,
            pace: self.pace,
        }
    }

    pub(super) async fn write<W: AsyncWrite + Unpin>(&self, stream: &mut W) -> io::Result<()> {
        let millis = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX);
        let mut wire = vec![match self.mode {
            Mode::Streams { down, up } => b'0' + u8::from(down) + 2 * u8::from(up),
            Mode::HalfClose => b'h',
            Mode::Request => b'r',
        }];
        for number in [self.seed, self.bytes, millis, self.pace] {
            wire.extend_from_slice(&number.to_be_bytes());
        }
        stream.write_all(&wire).await
    }

    pub(super) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Self> {
        let mut wire = [0; Self::LENGTH];
        stream.read_exact(&mut wire).await?;
        let number = |index: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&wire[1 + 8 * index..9 + 8 * index]);
            u64::from_be_bytes(bytes)
        };
        let mode = match wire[0] {
            b'1' => (true, false),
            b'2' => (false, true),
            b'3' => (true, true),
            b'h' => return Ok(Self::of(Mode::HalfClose, number)),
            b'r' => return Ok(Self::of(Mode::Request, number)),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let (down, up) = mode;
        Ok(Self::of(Mode::Streams { down, up }, number))
    }

    fn of(mode: Mode, number: impl Fn(usize) -> u64) -> Self {
        Self {
            mode,
            seed: number(0),
            bytes: number(1),
            time: Duration::from_millis(number(2)),
            pace: number(3),
        }
    }
}

impl From<Received> for Answer {
    fn from(received: Received) -> Self {
        Self {
            bytes: received.bytes,
            exact: received.exact,
            complete: received.end == End::Complete,
            damage: match received.end {
                End::Damaged(error) => Some(error.to_string()),
                End::Complete | End::Cut(_) => None,
            },
            stalls: received.stalls,
        }
    }
}

impl Answer {
    pub(super) async fn write<W: AsyncWrite + Unpin>(&self, stream: &mut W) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        stream.write_u32(length).await?;
        stream.write_all(&text).await
    }

    pub(super) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Self> {
        let length = stream.read_u32().await?;
        if length > LONGEST_ANSWER {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = vec![0; length as usize];
        stream.read_exact(&mut text).await?;
        Ok(serde_json::from_slice(&text)?)
    }
}

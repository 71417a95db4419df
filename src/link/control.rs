//! The control stream of a link: framed messages, read and written.
//!
//! A neighbour is read at a pace: what it says faster waits in its own stream, whose window closes. All
//! links share one thread, and a message costs it microseconds however little it says.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::sleep_until;

use super::transport::{RecvControl, SendControl, StreamError};
use crate::clock;
use crate::wire::{ControlMessage, FrameError, decode_frame, encode_frame};

/// How often a neighbour is heard, a message of this many bytes or less each time; larger ones count as
/// several. 4,096 a second: an agent in a mesh of a thousand hears some hundred. In bytes what
/// `limits.control_bytes_per_second` allows by default.
const MESSAGE: usize = 4 * 1024;
const PACE: Duration = Duration::from_nanos(1_000_000_000 / 4_096);

/// What may be heard at once after a pause: what comes together when a mesh is cut or joined.
const BURST: Duration = Duration::from_millis(125);

/// Why the control stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    #[error("control stream broke: {0}")]
    Read(#[from] StreamError),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("the neighbour ended its control stream")]
    Ended,
}

/// The receiving half.
pub(super) struct ControlReader {
    stream: RecvControl,
    buffer: BytesMut,
    limit: usize,
    /// When all that was heard so far was due.
    due: Instant,
    /// The last message was a long one.
    owes_a_turn: bool,
}

impl ControlReader {
    /// Reads messages of at most `limit` bytes.
    pub(super) fn new(stream: RecvControl, limit: usize) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            limit,
            due: clock::now(),
            owes_a_turn: false,
        }
    }

    /// The next message. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<ControlMessage, ControlError> {
        sleep_until(self.due.checked_sub(BURST).unwrap_or(self.due).into()).await;
        // Reading a long one takes as long as all else that waits: that comes first.
        if std::mem::take(&mut self.owes_a_turn) {
            yield_now().await;
        }
        loop {
            let before = self.buffer.len();
            if let Some(message) = decode_frame(&mut self.buffer, self.limit)? {
                self.pay(before - self.buffer.len());
                return Ok(message);
            }
            match self.stream.next().await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Err(ControlError::Ended),
            }
        }
    }

    /// For a message of so many bytes.
    fn pay(&mut self, bytes: usize) {
        let units = u32::try_from(bytes / MESSAGE).unwrap_or(u32::MAX);
        let cost = PACE.saturating_mul(units.saturating_add(1));
        self.due = self.due.max(clock::now()) + cost;
        self.owes_a_turn = units > 0;
    }
}

/// Writes one message.
pub(super) async fn write(
    stream: &mut SendControl,
    message: &ControlMessage,
) -> Result<(), StreamError> {
    let mut frame = Vec::new();
    encode_frame(message, &mut frame);
    stream.write_all(&frame).await
}

/// Writes everything that arrives on `queue`; when the queue closes, ends the stream and waits
/// until the neighbour has it all.
pub(super) async fn write_all(mut stream: SendControl, mut queue: mpsc::Receiver<ControlMessage>) {
    while let Some(message) = queue.recv().await {
        if write(&mut stream, &message).await.is_err() {
            // The driver sees the connection end.
            return;
        }
    }
    stream.finish().await;
}

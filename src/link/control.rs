//! The control stream of a link: framed messages, read and written.

use bytes::BytesMut;
use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc;

use crate::wire::{ControlMessage, FrameError, decode_frame, encode_frame};

/// Bytes taken from the stream at a time.
const CHUNK: usize = 64 * 1024;

/// Why the control stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ControlError {
    #[error("control stream broke: {0}")]
    Read(#[from] quinn::ReadError),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("the neighbour ended its control stream")]
    Ended,
}

/// The receiving half.
pub(super) struct ControlReader {
    stream: RecvStream,
    buffer: BytesMut,
    limit: usize,
}

impl ControlReader {
    /// Reads messages of at most `limit` bytes.
    pub(super) fn new(stream: RecvStream, limit: usize) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            limit,
        }
    }

    /// The next message. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<ControlMessage, ControlError> {
        loop {
            if let Some(message) = decode_frame(&mut self.buffer, self.limit)? {
                return Ok(message);
            }
            match self.stream.read_chunk(CHUNK, true).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.bytes),
                None => return Err(ControlError::Ended),
            }
        }
    }
}

/// Writes one message.
pub(super) async fn write(
    stream: &mut SendStream,
    message: &ControlMessage,
) -> Result<(), quinn::WriteError> {
    let mut frame = Vec::new();
    encode_frame(message, &mut frame);
    stream.write_all(&frame).await
}

/// Writes everything that arrives on `queue`; when the queue closes, ends the stream and waits
/// until the neighbour has it all.
pub(super) async fn write_all(mut stream: SendStream, mut queue: mpsc::Receiver<ControlMessage>) {
    while let Some(message) = queue.recv().await {
        if write(&mut stream, &message).await.is_err() {
            // The driver sees the connection end.
            return;
        }
    }
    if stream.finish().is_ok() {
        // The connection may end first; then nobody is left to wait for.
        let _ = stream.stopped().await;
    }
}

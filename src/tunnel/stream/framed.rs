//! Framed messages at the head of a tunnel stream, before its raw bytes.

use bytes::BytesMut;
use minicbor::{Decode, Encode};
use quinn::{ReadExactError, RecvStream, SendStream, WriteError};

use crate::wire::{FrameError, STREAM_MESSAGE_LIMIT, decode_frame, encode_frame};

/// Bytes of a frame's length prefix.
const PREFIX: usize = 4;

/// Why no message came.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    #[error("stream ended before its message: {0}")]
    Read(#[from] ReadExactError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("frame is incomplete although its length was read")]
    Incomplete,
}

/// Writes `message` as one frame.
pub async fn send_message<T: Encode<()>>(
    send: &mut SendStream,
    message: &T,
) -> Result<(), WriteError> {
    let mut frame = Vec::with_capacity(64);
    encode_frame(message, &mut frame);
    send.write_chunk(frame.into()).await
}

/// Reads exactly one frame: what follows it stays in the stream. Bodies over
/// [`STREAM_MESSAGE_LIMIT`] are refused. Not cancel-safe.
pub async fn receive_message<T>(recv: &mut RecvStream) -> Result<T, ReceiveError>
where
    T: for<'b> Decode<'b, ()>,
{
    let mut prefix = [0; PREFIX];
    recv.read_exact(&mut prefix).await?;
    let length = u32::from_be_bytes(prefix) as usize;
    if length > STREAM_MESSAGE_LIMIT {
        let limit = STREAM_MESSAGE_LIMIT;
        return Err(FrameError::Oversized { length, limit }.into());
    }
    let mut frame = BytesMut::zeroed(PREFIX + length);
    frame[..PREFIX].copy_from_slice(&prefix);
    recv.read_exact(&mut frame[PREFIX..]).await?;
    decode_frame(&mut frame, STREAM_MESSAGE_LIMIT)?.ok_or(ReceiveError::Incomplete)
}

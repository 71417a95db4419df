//! Length-prefixed CBOR frames: a `u32` length (big endian), then the body.

use bytes::{Buf, BytesMut};
use minicbor::{Decode, Encode};

/// Bytes of the length prefix.
const PREFIX: usize = 4;

/// Why a frame was refused. Either is the sender's fault and ends the stream.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {length} bytes is over the limit of {limit}")]
    Oversized { length: usize, limit: usize },
    #[error("frame does not decode: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    #[error("frame has {0} bytes after its message")]
    Trailing(usize),
}

/// Appends `message` to `out` as one frame.
pub fn encode_frame<T: Encode<()>>(message: &T, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    minicbor::encode(message, &mut *out).expect("writing to a Vec cannot fail");
    let length = u32::try_from(out.len() - start - PREFIX).expect("messages are far below 4 GiB");
    out[start..start + PREFIX].copy_from_slice(&length.to_be_bytes());
}

/// Takes one frame off the front of `input`; `None` while it is incomplete. Bodies over `limit`
/// bytes are refused before they are buffered.
pub fn decode_frame<T>(input: &mut BytesMut, limit: usize) -> Result<Option<T>, FrameError>
where
    T: for<'b> Decode<'b, ()>,
{
    let Some(prefix) = input.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*prefix) as usize;
    if length > limit {
        return Err(FrameError::Oversized { length, limit });
    }
    if input.len() < PREFIX + length {
        return Ok(None);
    }
    input.advance(PREFIX);
    let body = input.split_to(length);
    let mut decoder = minicbor::Decoder::new(&body);
    let message = decoder.decode()?;
    match length - decoder.position() {
        0 => Ok(Some(message)),
        rest => Err(FrameError::Trailing(rest)),
    }
}

//! Stream requests and replies, and notes beside streams, as the other end of a session may send them.

use std::fmt::Debug;

use bytes::BytesMut;
use warren::wire::{
    ConnectReply, Note, ResolveReply, STREAM_MESSAGE_LIMIT, StreamRequest, decode_frame,
    encode_frame,
};

/// What decodes says the same when it is encoded again.
pub fn run(input: &[u8]) {
    decode::<StreamRequest>(input);
    decode::<ConnectReply>(input);
    decode::<ResolveReply>(input);
    decode::<Note>(input);
}

fn decode<T>(input: &[u8])
where
    T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()> + Debug + PartialEq,
{
    let mut buffer = BytesMut::from(input);
    let Ok(Some(message)) = decode_frame::<T>(&mut buffer, STREAM_MESSAGE_LIMIT) else {
        return;
    };
    let mut frame = Vec::new();
    encode_frame(&message, &mut frame);
    let again = decode_frame::<T>(&mut BytesMut::from(&frame[..]), usize::MAX)
        .expect("what was decoded encodes")
        .expect("the frame is whole");
    assert_eq!(again, message);
}

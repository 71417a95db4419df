#![no_main]
//! Stream requests and replies as the other end of a session may send them.

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use warren::wire::{ConnectReply, ResolveReply, StreamRequest, decode_frame};

fuzz_target!(|input: &[u8]| {
    let _ = decode_frame::<StreamRequest>(&mut BytesMut::from(input), 64 * 1024);
    let _ = decode_frame::<ConnectReply>(&mut BytesMut::from(input), 64 * 1024);
    let _ = decode_frame::<ResolveReply>(&mut BytesMut::from(input), 64 * 1024);
});

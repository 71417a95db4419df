#![no_main]
//! Control messages as a neighbour may send them.

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use warren::wire::{ControlMessage, decode_frame};

fuzz_target!(|input: &[u8]| {
    let mut buffer = BytesMut::from(input);
    while let Ok(Some(message)) = decode_frame::<ControlMessage>(&mut buffer, 64 * 1024) {
        std::hint::black_box(message);
    }
});

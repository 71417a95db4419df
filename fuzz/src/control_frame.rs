//! The control stream of a link as a neighbour may write it.

use bytes::BytesMut;
use warren::config::Limits;
use warren::wire::{ControlMessage, decode_frame, encode_frame};

/// Bytes of a frame's length.
const PREFIX: usize = 4;

/// What decodes says the same when it is encoded again, and is no larger than it is taken for.
pub fn run(input: &[u8]) {
    let limit = Limits::default().control_message;
    let mut buffer = BytesMut::from(input);
    while let Ok(Some(message)) = decode_frame::<ControlMessage>(&mut buffer, limit) {
        let mut frame = Vec::new();
        encode_frame(&message, &mut frame);
        assert!(
            frame.len() <= PREFIX + message.wire_bytes(),
            "{} bytes for {message:?}",
            frame.len()
        );
        let again = decode_frame::<ControlMessage>(&mut BytesMut::from(&frame[..]), usize::MAX)
            .expect("what was decoded encodes")
            .expect("the frame is whole");
        assert_eq!(again, message);
    }
}

//! What holds for every message that the core sends.

use bytes::BytesMut;
use warren::config::Limits;
use warren::routing::Authority;
use warren::wire::{Advertisement, ControlMessage, Envelope, decode_frame, encode_frame};

use super::authority::{Fake, Notary};

/// Bytes of a frame's length.
const PREFIX: usize = 4;

/// Bytes of a message around what it lists.
const OVERHEAD: usize = 64;

/// A neighbour can read it, and is not told what it would have to refuse.
pub(super) fn check_send(limits: &Limits, message: &ControlMessage) {
    assert!(message.wire_bytes() <= limits.control_message / 2 + OVERHEAD);
    let mut frame = Vec::new();
    encode_frame(message, &mut frame);
    assert!(frame.len() <= PREFIX + message.wire_bytes());
    let read = decode_frame::<ControlMessage>(&mut BytesMut::from(&frame[..]), usize::MAX);
    assert_eq!(read.expect("own frames decode").as_ref(), Some(message));
    let ControlMessage::Flood(flood) = message else {
        return;
    };
    flood.advertisements.iter().for_each(check_envelope);
}

fn check_envelope(envelope: &Envelope) {
    let adv = Advertisement::decode(envelope.adv.body()).expect("neighbours refuse the rest");
    let stamp = adv.stamp();
    assert!(envelope.hops < stamp.max_hops, "it ends here: {envelope:?}");
    assert!(envelope.ttl < stamp.max_hops - envelope.hops);
    let message = envelope.adv.signing_message().expect("it decodes");
    let signature = Fake::new(stamp.origin, 0, &Notary::default()).sign(&message);
    assert_eq!(signature, *envelope.adv.signature(), "a forged {adv:?}");
}

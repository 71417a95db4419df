//! What stands behind a packet's header as anybody may send it: the connection ids of QUIC, and halves of
//! packets.

use warren::identity::ShortId;
use warren::tunnel::{Cid, Joiner};

/// An input is one packet for the ids, and halves for the joiner, each behind a byte of its length.
pub fn run(input: &[u8]) {
    check_ids(input);
    check_halves(input);
}

/// A packet that is cut off has no id, or the same one.
fn check_ids(packet: &[u8]) {
    let read = |packet| (Cid::of_source(packet), Cid::of_destination(packet));
    let whole = read(packet);
    for end in 0..packet.len().min(64) {
        let cut = read(&packet[..end]);
        assert!(cut.0.is_none() || cut.0 == whole.0);
        assert!(cut.1.is_none() || cut.1 == whole.1);
    }
    if Cid::of_source(packet).is_some() {
        assert!(Cid::of_destination(packet).is_some(), "it stands before it");
    }
}

/// A whole is made of two halves that came.
fn check_halves(mut rest: &[u8]) {
    let mut joiner = Joiner::default();
    let mut longest = [0; 2];
    while let Some((&length, behind)) = rest.split_first() {
        let (half, behind) = behind.split_at(usize::from(length).min(behind.len()));
        let source = ShortId(u64::from(length % 2));
        if let Some(part) = half.get(4).filter(|part| **part <= 1) {
            let longest = &mut longest[usize::from(*part)];
            *longest = half.len().saturating_sub(5).max(*longest);
        }
        if let Some(whole) = joiner.take(source, half) {
            assert!(whole.len() <= longest[0] + longest[1]);
        }
        rest = behind;
    }
}

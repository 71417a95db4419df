//! What both ends of a session say about its streams, beside them.
//!
//! Each end opens one unidirectional stream, of higher priority than those with data, and writes framed
//! [`Note`]s to it for as long as the session lives. QUIC's own reset of a stream throws away what is
//! under way; a note lets a reset take its place behind the bytes before it (RFC 9293 section 3.10.7).

use minicbor::{Decode, Encode};

/// Most bytes of the body of a note: every field at its longest, and room for fields to come.
pub const NOTE_LIMIT: usize = 64;

/// What the sender of the note says of a stream. Positions count the bytes of the proxied connection,
/// from 0 behind the messages at the stream's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Note {
    /// The QUIC id of a bidirectional stream of the session.
    #[n(0)]
    pub stream: u64,
    /// Its sender's sending half ends at this position, by a reset.
    #[n(1)]
    pub reset_at: Option<u64>,
}

impl Note {
    /// Whether it can be true of any stream: bidirectional (RFC 9000 section 2.1), and positions that
    /// a stream has (section 16).
    pub fn is_sound(&self) -> bool {
        const MOST: u64 = (1 << 62) - 1;
        let positions = [Some(self.stream), self.reset_at];
        self.stream & 2 == 0 && positions.into_iter().flatten().all(|at| at <= MOST)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::wire::{FrameError, decode_frame, encode_frame};

    fn longest() -> Note {
        Note {
            stream: u64::MAX,
            reset_at: Some(u64::MAX),
        }
    }

    #[test]
    fn notes_survive_the_wire_and_the_longest_fits() {
        let mut bytes = Vec::new();
        let notes = [Note::default(), longest()];
        notes.iter().for_each(|note| encode_frame(note, &mut bytes));
        let mut bytes = BytesMut::from(&bytes[..]);
        for note in notes {
            let read = decode_frame(&mut bytes, NOTE_LIMIT).unwrap();
            assert_eq!(read, Some(note));
        }
        assert!(bytes.is_empty());
    }

    #[test]
    fn bytes_on_the_wire_are_fixed() {
        let mut bytes = Vec::new();
        let note = Note {
            stream: 4,
            reset_at: Some(6),
        };
        encode_frame(&note, &mut bytes);
        assert_eq!(bytes, [0, 0, 0, 3, 0x82, 4, 6]);
    }

    #[test]
    fn fields_to_come_are_passed_over() {
        let bytes = [0, 0, 0, 5, 0x84, 4, 6, 0xf6, 9];
        let note: Option<Note> = decode_frame(&mut BytesMut::from(&bytes[..]), NOTE_LIMIT).unwrap();
        assert_eq!(note.unwrap().reset_at, Some(6));
        let long = [0, 0, 0, 65];
        let refused = decode_frame::<Note>(&mut BytesMut::from(&long[..]), NOTE_LIMIT);
        assert!(matches!(refused, Err(FrameError::Oversized { .. })));
    }

    #[test]
    fn only_bidirectional_streams_and_their_positions_are_sound() {
        let note = |stream, reset_at| Note { stream, reset_at };
        for (note, sound) in [
            (note(0, None), true),
            (note(5, Some(0)), true),
            (note(2, Some(0)), false),
            (note(7, None), false),
            (note(4, Some((1 << 62) - 1)), true),
            (note(4, Some(1 << 62)), false),
            (longest(), false),
        ] {
            assert_eq!(note.is_sound(), sound, "{note:?}");
        }
    }
}

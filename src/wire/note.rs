//! What both ends of a session say about its streams, beside them.
//!
//! Each end opens one unidirectional stream, of higher priority than those with data, and writes framed
//! [`Note`]s to it for as long as the session lives. QUIC's own reset of a stream throws away what is
//! under way; a note lets a reset take its place behind the bytes before it (RFC 9293 section 3.10.7).

use minicbor::{Decode, Encode};

/// Most bytes of the body of a note: every field at its longest, and room for fields to come.
pub const NOTE_LIMIT: usize = 64;

/// What the sender of the note says of a stream, or of the session. Positions count the bytes of the
/// proxied connection, from 0 behind the messages at the stream's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Note {
    /// The QUIC id of a bidirectional stream of the session; `None` in a note on the session itself.
    #[n(0)]
    pub stream: Option<u64>,
    /// Its sender's sending half ends at this position, by a reset.
    #[n(1)]
    pub reset_at: Option<u64>,
    /// Its sender's TCP connection took what it received up to this position.
    #[n(2)]
    pub taken: Option<u64>,
    /// Asks for [`taken`](Self::taken), as soon as that has grown since it was last told.
    #[n(3)]
    pub asks: Option<bool>,
    /// Of the session: bytes that its sender holds unread at most, all streams together.
    #[n(4)]
    pub window: Option<u64>,
    /// Of the session: whether that window is short for what its receiver has to send.
    #[n(5)]
    pub short: Option<bool>,
}

impl Note {
    /// Whether it can be true: of a bidirectional stream (RFC 9000 section 2.1), with positions that a
    /// stream has (section 16).
    pub fn is_sound(&self) -> bool {
        const MOST: u64 = (1 << 62) - 1;
        let numbers = [self.stream, self.reset_at, self.taken, self.window];
        self.stream.is_none_or(|stream| stream & 2 == 0)
            && numbers.into_iter().flatten().all(|number| number <= MOST)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::wire::{FrameError, decode_frame, encode_frame};

    fn longest() -> Note {
        Note {
            stream: Some(u64::MAX),
            reset_at: Some(u64::MAX),
            taken: Some(u64::MAX),
            asks: Some(true),
            window: Some(u64::MAX),
            short: Some(true),
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
            stream: Some(4),
            reset_at: Some(6),
            ..Note::default()
        };
        encode_frame(&note, &mut bytes);
        assert_eq!(bytes, [0, 0, 0, 3, 0x82, 4, 6]);
        bytes.clear();
        let note = Note {
            window: Some(9),
            ..Note::default()
        };
        encode_frame(&note, &mut bytes);
        assert_eq!(bytes, [0, 0, 0, 6, 0x85, 0xf6, 0xf6, 0xf6, 0xf6, 9]);
    }

    #[test]
    fn fields_to_come_are_passed_over() {
        let bytes = [0, 0, 0, 9, 0x88, 4, 6, 0xf6, 0xf6, 0xf6, 0xf6, 7, 8];
        let note: Option<Note> = decode_frame(&mut BytesMut::from(&bytes[..]), NOTE_LIMIT).unwrap();
        assert_eq!(note.unwrap().reset_at, Some(6));
        let long = [0, 0, 0, 65];
        let refused = decode_frame::<Note>(&mut BytesMut::from(&long[..]), NOTE_LIMIT);
        assert!(matches!(refused, Err(FrameError::Oversized { .. })));
    }

    #[test]
    fn only_bidirectional_streams_and_their_positions_are_sound() {
        let note = |stream, reset_at| Note {
            stream: Some(stream),
            reset_at,
            ..Note::default()
        };
        for (note, sound) in [
            (note(0, None), true),
            (note(5, Some(0)), true),
            (note(2, Some(0)), false),
            (note(7, None), false),
            (note(4, Some((1 << 62) - 1)), true),
            (note(4, Some(1 << 62)), false),
            (longest(), false),
            (Note::default(), true),
        ] {
            assert_eq!(note.is_sound(), sound, "{note:?}");
        }
    }
}

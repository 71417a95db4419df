//! The tasks that write and read notes.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::BytesMut;
use quinn::{Connection, ConnectionError, ReadError, SendStream, VarInt, WriteError};
use tracing::warn;

use super::Notes;
use crate::task::{self, Served};
use crate::wire::{FrameError, NOTE_LIMIT, Note, decode_frame};

/// Application error code of a session whose other end wrote notes that cannot be.
const BAD_NOTE: VarInt = VarInt::from_u32(4);

/// Notes go ahead of data: they are few and short, and somebody may wait for them.
const PRIORITY: i32 = 1;

/// Why notes are read or written no further.
#[derive(Debug, thiserror::Error)]
enum NotesError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0:?} cannot be")]
    Unsound(Note),
    #[error("a stream of notes ended before the session")]
    Ended,
    #[error(transparent)]
    Session(#[from] ConnectionError),
    #[error("notes cannot be read: {0}")]
    Read(#[from] ReadError),
    #[error("notes cannot be written: {0}")]
    Write(#[from] WriteError),
}

/// Starts both; `ours` is where notes are written, if the other end takes any.
pub(super) fn start(connection: &Connection, ours: Option<SendStream>, notes: &Arc<Notes>) {
    if let Some(ours) = ours {
        let writing = write_notes(ours, notes.clone());
        task::serve(Served::Session, look_after(connection.clone(), writing));
    }
    let reading = read_notes(connection.clone(), notes.clone());
    task::serve(Served::Session, look_after(connection.clone(), reading));
}

/// Runs a task of notes, without which its session must not go on.
async fn look_after(
    connection: Connection,
    notes: impl Future<Output = Result<Infallible, NotesError>>,
) {
    let error = match task::contain(Served::Session, notes).await {
        Some(Err(error)) => error.to_string(),
        Some(Ok(never)) => match never {},
        None => "a defect of this agent".to_owned(),
    };
    if connection.close_reason().is_none() {
        warn!(%error, "a session ends: no more notes of its streams");
        connection.close(BAD_NOTE, error.as_bytes());
    }
}

async fn write_notes(mut ours: SendStream, notes: Arc<Notes>) -> Result<Infallible, NotesError> {
    // Fails only on a stream that has ended.
    let _ = ours.set_priority(PRIORITY);
    let stopped = ours.stopped();
    let writing = async {
        loop {
            ours.write_all(&notes.outbox.next_batch().await).await?;
        }
    };
    tokio::select! {
        ended = writing => ended,
        // The other end will not have them, or the session has ended.
        _ = stopped => Err(NotesError::Ended),
    }
}

async fn read_notes(connection: Connection, notes: Arc<Notes>) -> Result<Infallible, NotesError> {
    let mut theirs = connection.accept_uni().await?;
    let mut buffer = BytesMut::new();
    while let Some(chunk) = theirs.read_chunk(usize::MAX, true).await? {
        buffer.extend_from_slice(&chunk.bytes);
        while let Some(note) = decode_frame::<Note>(&mut buffer, NOTE_LIMIT)? {
            if !note.is_sound() {
                return Err(NotesError::Unsound(note));
            }
            notes.deliver(&note);
        }
    }
    Err(NotesError::Ended)
}

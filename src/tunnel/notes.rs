//! One session's streams, and the notes that both ends write about them.
//!
//! ```text
//!  relay ─ tell_reset ─► outbox ─► writer task ─► our notes stream ─► the other end
//!  relay ◄── mailbox ◄── reader task ◄── its notes stream ◄───────────────┘
//! ```
//!
//! Both tasks end with the session. An end that takes no notes (an older release) allows no
//! unidirectional stream; then a reset is QUIC's own, which loses what is under way.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use bytes::BytesMut;
use futures_util::FutureExt;
use futures_util::task::AtomicWaker;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::sync::Notify;
use tracing::warn;

use super::ExitStream;
use crate::task::{self, Served};
use crate::wire::{FrameError, NOTE_LIMIT, Note, decode_frame, encode_frame};

/// Application error code of a session whose other end wrote notes that cannot be.
const BAD_NOTE: VarInt = VarInt::from_u32(3);

/// Notes go ahead of data: they are few and short, and somebody may wait for them.
const PRIORITY: i32 = 1;

/// Notes that wait to be written, at most. More come only from streams that end faster than the
/// session carries a dozen bytes for each; a stream without room for its note is reset at once.
const OUTBOX: usize = 65_536;

/// Notes written at once.
const BATCH: usize = 256;

/// No position of a stream: those end below 2^62 (RFC 9000 section 16).
const NONE: u64 = u64::MAX;

/// The streams of one session.
#[derive(Clone)]
pub struct SessionStreams {
    connection: Connection,
    notes: Arc<Notes>,
}

/// Why notes are read or written no further.
#[derive(Debug, thiserror::Error)]
enum NotesError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0:?} is about no stream")]
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

/// What the tasks of a session and its streams share.
#[derive(Debug)]
struct Notes {
    /// Whether the other end takes notes.
    taken: bool,
    outbox: Mutex<VecDeque<Note>>,
    filled: Notify,
    /// No more entries than the session has streams.
    mailboxes: Mutex<HashMap<u64, Arc<Mailbox>>>,
}

/// What the other end said of one stream.
#[derive(Debug)]
struct Mailbox {
    reset_at: AtomicU64,
    reader: AtomicWaker,
}

/// A stream's place among the notes; frees it when dropped.
#[derive(Debug)]
pub struct StreamNotes {
    notes: Arc<Notes>,
    stream: u64,
    mailbox: Arc<Mailbox>,
}

impl SessionStreams {
    /// Begins to write and read notes beside the streams of `connection`, whose handshake is done.
    pub fn new(connection: Connection) -> Self {
        // What the other end allows is known since the handshake.
        let ours = connection.open_uni().now_or_never().and_then(Result::ok);
        let notes = Arc::new(Notes {
            taken: ours.is_some(),
            outbox: Mutex::default(),
            filled: Notify::new(),
            mailboxes: Mutex::default(),
        });
        if let Some(ours) = ours {
            let writing = write_notes(ours, notes.clone());
            task::serve(Served::Session, look_after(connection.clone(), writing));
        }
        let reading = read_notes(connection.clone(), notes.clone());
        task::serve(Served::Session, look_after(connection.clone(), reading));
        Self { connection, notes }
    }

    /// Opens a stream.
    pub async fn open(&self) -> Result<ExitStream, ConnectionError> {
        let (send, recv) = self.connection.open_bi().await?;
        Ok(self.with_notes(send, recv))
    }

    /// The next stream that the other end opens.
    pub async fn accept(&self) -> Result<ExitStream, ConnectionError> {
        let (send, recv) = self.connection.accept_bi().await?;
        Ok(self.with_notes(send, recv))
    }

    fn with_notes(&self, send: SendStream, recv: RecvStream) -> ExitStream {
        let stream = VarInt::from(send.id()).into_inner();
        let mailbox = Arc::new(Mailbox {
            reset_at: AtomicU64::new(NONE),
            reader: AtomicWaker::new(),
        });
        lock(&self.notes.mailboxes).insert(stream, mailbox.clone());
        let notes = StreamNotes {
            notes: self.notes.clone(),
            stream,
            mailbox,
        };
        ExitStream { send, recv, notes }
    }
}

impl StreamNotes {
    /// Tells that what we send on this stream ends with a reset at position `at`; `false` if the
    /// other end will not hear of it.
    #[must_use]
    pub(super) fn tell_reset(&self, at: u64) -> bool {
        let mut outbox = lock(&self.notes.outbox);
        let told = self.notes.taken && outbox.len() < OUTBOX;
        if told {
            outbox.push_back(Note {
                stream: self.stream,
                reset_at: Some(at),
            });
            self.notes.filled.notify_one();
        }
        told
    }

    /// Where the other end's reset takes place, once it is known; until then `cx` is woken for it.
    pub(super) fn reset_at(&self, cx: &mut Context<'_>) -> Option<u64> {
        self.mailbox.reader.register(cx.waker());
        let at = self.mailbox.reset_at.load(Ordering::Acquire);
        (at != NONE).then_some(at)
    }
}

impl Drop for StreamNotes {
    fn drop(&mut self) {
        lock(&self.notes.mailboxes).remove(&self.stream);
    }
}

impl Notes {
    fn deliver(&self, note: &Note) -> Result<(), NotesError> {
        if !note.is_sound() {
            return Err(NotesError::Unsound(*note));
        }
        // A stream that is unknown has ended here.
        if let Some(mailbox) = lock(&self.mailboxes).get(&note.stream)
            && let Some(at) = note.reset_at
        {
            mailbox.reset_at.store(at, Ordering::Release);
            mailbox.reader.wake();
        }
        Ok(())
    }

    /// The next notes to write, as bytes.
    async fn next_batch(&self) -> Vec<u8> {
        loop {
            let bytes = self.take_batch();
            if !bytes.is_empty() {
                return bytes;
            }
            self.filled.notified().await;
        }
    }

    fn take_batch(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut outbox = lock(&self.outbox);
        let count = outbox.len().min(BATCH);
        let batch = outbox.drain(..count);
        batch.for_each(|note| encode_frame(&note, &mut bytes));
        bytes
    }
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
            ours.write_all(&notes.next_batch().await).await?;
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
            notes.deliver(&note)?;
        }
    }
    Err(NotesError::Ended)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done where a panic could happen.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! One session's streams, and the notes that both ends write about them.
//!
//! ```text
//!  relay ── resets, what was taken ──► outbox ─► writer task ─► our notes stream ─► the other end
//!    │  └── what is sent ─► Ledger ──────┘                                               │
//!    └◄────────────── mailbox ◄── reader task ◄── its notes stream ◄──────────────────────┘
//! ```
//!
//! Both tasks end with the session, and it with them. An end that takes no notes (an older release)
//! allows no unidirectional stream; then a reset is QUIC's own, which loses what is under way, and QUIC's
//! windows alone bound what streams hold.

mod mailbox;
mod outbox;
mod tasks;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Instant;

use futures_util::FutureExt;
use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};

use self::mailbox::Mailbox;
use self::outbox::Outbox;
use super::ledger::Ledger;
use super::room::Room;
use super::turns::Turns;
use crate::wire::Note;

/// Takes a stream out of all books.
const ALL: u64 = (1 << 62) - 1;

/// The streams of one session.
#[derive(Clone, Debug)]
pub struct SessionStreams {
    connection: Connection,
    notes: Arc<Notes>,
}

/// What the tasks of a session and its streams share.
#[derive(Debug)]
struct Notes {
    /// Whether the other end takes notes.
    taken: bool,
    outbox: Outbox,
    /// No more entries than the session has streams.
    mailboxes: Mutex<HashMap<u64, Arc<Mailbox>>>,
    /// What we sent and the other end holds.
    ledger: Mutex<Ledger>,
    /// The other end says that it is short of our window.
    peer_is_short: AtomicBool,
    turns: Arc<Turns>,
    /// For streams of the other end.
    room: Room,
}

/// A stream's place among the notes; frees it when dropped.
#[derive(Debug)]
pub struct StreamNotes {
    notes: Arc<Notes>,
    connection: Connection,
    stream: u64,
    mailbox: Arc<Mailbox>,
}

/// A new bidirectional stream to an exit. Nothing was written to it yet.
pub struct ExitStream {
    pub send: SendStream,
    pub recv: RecvStream,
    pub notes: StreamNotes,
}

impl SessionStreams {
    /// Begins to write and read notes beside the streams of `connection`, whose handshake is done.
    /// `window`: bytes that this end holds unread at most.
    pub fn new(connection: Connection, window: u64) -> Self {
        Self::with(connection, window, Room::new(0))
    }

    /// As [`new`](Self::new), for the end that accepts streams: so many at once at most.
    pub fn accepting(connection: Connection, window: u64, streams: u32) -> Self {
        Self::with(connection, window, Room::new(streams))
    }

    fn with(connection: Connection, window: u64, room: Room) -> Self {
        // What the other end allows is known since the handshake.
        let ours = connection.open_uni().now_or_never().and_then(Result::ok);
        let notes = Arc::new(Notes {
            taken: ours.is_some(),
            outbox: Outbox::default(),
            mailboxes: Mutex::default(),
            // Until it tells its own.
            ledger: Mutex::new(Ledger::new(window)),
            peer_is_short: AtomicBool::new(false),
            turns: Arc::default(),
            room,
        });
        notes.push(Note {
            window: Some(window),
            ..Note::default()
        });
        tasks::start(&connection, ours, &notes);
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
        if let Some(room) = self.notes.room.handle_opened(send.id().index() + 1) {
            let room = VarInt::from_u32(room);
            self.connection.set_max_concurrent_bi_streams(room);
        }
        Ok(self.with_notes(send, recv))
    }

    /// The session under the streams.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether streams of either direction get less than they could use, because others hold so much
    /// that nobody reads.
    pub fn are_short(&self) -> bool {
        self.notes.peer_is_short.load(Ordering::Relaxed) || lock(&self.notes.ledger).is_short()
    }

    /// Bytes that were sent and that the other end has not delivered yet, as far as it takes notes. It is
    /// asked for what it has not told.
    pub fn held(&self) -> u64 {
        let (held, asks) = {
            let mut ledger = lock(&self.notes.ledger);
            (ledger.held(), ledger.ask_all())
        };
        asks.into_iter().for_each(|stream| self.notes.ask(stream));
        held
    }

    fn with_notes(&self, send: SendStream, recv: RecvStream) -> ExitStream {
        let stream = VarInt::from(send.id()).into_inner();
        let mailbox = Arc::new(Mailbox::default());
        lock(&self.notes.mailboxes).insert(stream, mailbox.clone());
        lock(&self.notes.ledger).open(stream);
        let notes = StreamNotes {
            notes: self.notes.clone(),
            connection: self.connection.clone(),
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
    pub(crate) fn tell_reset(&self, at: u64) -> bool {
        self.notes.push(Note {
            stream: Some(self.stream),
            reset_at: Some(at),
            ..Note::default()
        })
    }

    /// Where the other end's reset takes place, once it is known; until then `cx` is woken for it.
    pub(crate) fn reset_at(&self, cx: &mut Context<'_>) -> Option<u64> {
        self.mailbox.reset_at(cx)
    }

    /// Bytes that may be sent now; if none, `cx` is woken when there may be some.
    pub(crate) fn room(&self, cx: &mut Context<'_>) -> usize {
        if !self.notes.taken {
            return usize::MAX;
        }
        let (mut room, mut ask) = lock(&self.notes.ledger).room(self.stream);
        if room == 0 {
            self.mailbox.wake_to_send(cx);
            let again = lock(&self.notes.ledger).room(self.stream);
            (room, ask) = (again.0, ask || again.1);
        }
        if ask {
            self.notes.ask(self.stream);
        }
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// So many bytes were sent.
    pub(crate) fn sent(&self, bytes: usize) {
        if !self.notes.taken {
            return;
        }
        let mut ledger = lock(&self.notes.ledger);
        let asks = ledger.sent(self.stream, bytes as u64);
        let short = ledger.short_changed();
        drop(ledger);
        asks.into_iter().for_each(|stream| self.notes.ask(stream));
        self.notes.tell_short(short);
    }

    /// Whose turn it is among the session's streams, by what it has sent until now.
    pub(crate) fn turns(&self, now: Instant) -> &Arc<Turns> {
        let turns = &self.notes.turns;
        if turns.is_due(now) {
            let stats = self.connection.stats();
            turns.handle_sent(now, stats.udp_tx.bytes, stats.path.rtt);
        }
        turns
    }

    /// Our TCP connection took what was received up to this position.
    pub(crate) fn took(&self, at: u64) {
        if let Some(at) = self.mailbox.took(at) {
            self.notes.tell_taken(self.stream, at);
        }
    }
}

impl Drop for StreamNotes {
    fn drop(&mut self) {
        lock(&self.notes.mailboxes).remove(&self.stream);
        lock(&self.notes.ledger).close(self.stream);
        // Whatever was received, or will be, is not held any more.
        self.notes.tell_ended(self.stream, self.mailbox.is_asked());
    }
}

impl Notes {
    /// `false`: the other end will not hear of it.
    fn push(&self, note: Note) -> bool {
        self.taken && self.outbox.push(note)
    }

    fn ask(&self, stream: u64) {
        self.push(Note {
            stream: Some(stream),
            asks: Some(true),
            ..Note::default()
        });
    }

    fn tell_taken(&self, stream: u64, at: u64) {
        self.push(Note {
            stream: Some(stream),
            taken: Some(at),
            ..Note::default()
        });
    }

    /// Nothing of a stream is held any more. The other end waits for that only if it asked, or has no
    /// room for others.
    fn tell_ended(&self, stream: u64, asked: bool) {
        if asked || self.peer_is_short.load(Ordering::Relaxed) {
            self.tell_taken(stream, ALL);
        } else if self.taken {
            self.outbox.push_later(Note {
                stream: Some(stream),
                taken: Some(ALL),
                ..Note::default()
            });
        }
    }

    fn tell_short(&self, changed: Option<bool>) {
        if changed.is_some() {
            self.push(Note {
                short: changed,
                ..Note::default()
            });
        }
    }

    /// The other end says so.
    fn deliver(&self, note: &Note) {
        let Some(stream) = note.stream else {
            if let Some(window) = note.window {
                lock(&self.ledger).set_window(window);
            }
            if let Some(short) = note.short {
                self.peer_is_short.store(short, Ordering::Relaxed);
            }
            return;
        };
        // A stream that is unknown has ended here.
        let mailbox = lock(&self.mailboxes).get(&stream).cloned();
        if let Some(at) = note.taken {
            let mut ledger = lock(&self.ledger);
            ledger.taken(stream, at);
            let short = ledger.short_changed();
            drop(ledger);
            self.tell_short(short);
        }
        let Some(mailbox) = mailbox else {
            if note.asks == Some(true) {
                // The answer may be waiting.
                self.outbox.hurry();
            }
            return;
        };
        if note.taken.is_some() {
            mailbox.may_send();
        }
        if let Some(at) = note.reset_at {
            mailbox.resets_at(at);
        }
        if note.asks == Some(true)
            && let Some(at) = mailbox.asked()
        {
            self.tell_taken(stream, at);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done where a panic could happen.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

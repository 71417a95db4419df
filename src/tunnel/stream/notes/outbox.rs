//! Notes that wait to be written.
//!
//! What a stream held that has ended is of no urgency, and every connection has such a note at each end.
//! Written at once it would be a packet of its own, with an acknowledgement, beside the next connection's
//! first bytes. So it waits for others, for a while.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::clock;
use crate::wire::{Note, encode_frame};

/// Notes that wait, at most. More come only from streams that end faster than the session carries a
/// dozen bytes for each; a stream without room for its note is reset at once.
const MOST: usize = 262_144;

/// Notes written at once.
const BATCH: usize = 256;

/// How long a note without urgency waits at most: short beside the second in which a pool fills that
/// streams have emptied, long beside the time between two connections of a busy agent.
const LATER: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    /// Wakes who writes them.
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    notes: VecDeque<Note>,
    /// When they are to be written; `None`: there are none.
    due: Option<Instant>,
}

impl Outbox {
    /// Adds a note that leaves at once, and what waits before it; `false`: there is no room.
    pub(super) fn push(&self, note: Note) -> bool {
        self.add(note, clock::now())
    }

    /// Adds a note that may wait for others.
    pub(super) fn push_later(&self, note: Note) {
        self.add(note, clock::now() + LATER);
    }

    fn add(&self, note: Note, due: Instant) -> bool {
        let mut waiting = self.lock();
        let has_room = waiting.notes.len() < MOST;
        if has_room {
            waiting.notes.push_back(note);
            self.make_due(&mut waiting, due);
        }
        has_room
    }

    /// Somebody needs what waits.
    pub(super) fn hurry(&self) {
        let mut waiting = self.lock();
        if !waiting.notes.is_empty() {
            self.make_due(&mut waiting, clock::now());
        }
    }

    fn make_due(&self, waiting: &mut Waiting, due: Instant) {
        if waiting.due.is_none_or(|before| due < before) {
            waiting.due = Some(due);
            self.filled.notify_one();
        }
    }

    /// The next notes to write, as bytes, once they are due.
    pub(super) async fn next_batch(&self) -> Vec<u8> {
        loop {
            let due = self.lock().due;
            let filled = self.filled.notified();
            match due {
                None => filled.await,
                Some(due) if due <= clock::now() => return self.take_batch(),
                // Woken or not, they are looked at again.
                Some(due) => _ = timeout_at(due.into(), filled).await,
            }
        }
    }

    fn take_batch(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut waiting = self.lock();
        let count = waiting.notes.len().min(BATCH);
        let batch = waiting.notes.drain(..count);
        batch.for_each(|note| encode_frame(&note, &mut bytes));
        if waiting.notes.is_empty() {
            waiting.due = None;
        }
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing is left half done where a panic could happen.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::wire::{NOTE_LIMIT, decode_frame};

    fn note(stream: u64) -> Note {
        Note {
            stream: Some(stream),
            ..Note::default()
        }
    }

    /// The streams of the next batch, and how long it was waited for.
    async fn next(outbox: &Outbox) -> (Vec<u64>, Duration) {
        let began = clock::now();
        let batch = outbox.next_batch().await;
        let mut bytes = BytesMut::from(&batch[..]);
        let notes = std::iter::from_fn(|| decode_frame::<Note>(&mut bytes, NOTE_LIMIT).unwrap());
        let streams = notes.filter_map(|note| note.stream).collect();
        (streams, clock::since(began))
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_wait_leaves_with_what_may_not_or_when_its_time_is_over() {
        let outbox = Outbox::default();
        outbox.push_later(note(0));
        outbox.push_later(note(4));
        let (streams, waited) = next(&outbox).await;
        assert_eq!(streams, [0, 4]);
        assert!(waited >= LATER && waited < 2 * LATER, "{waited:?}");
        outbox.push_later(note(8));
        assert!(outbox.push(note(12)));
        assert_eq!(next(&outbox).await, (vec![8, 12], Duration::ZERO));
        outbox.push_later(note(16));
        outbox.hurry();
        assert_eq!(next(&outbox).await, (vec![16], Duration::ZERO));
        outbox.hurry();
        assert!(
            timeout_at((clock::now() + LATER).into(), outbox.next_batch())
                .await
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_already_is_told() {
        let outbox = Outbox::default();
        outbox.push_later(note(0));
        let urgent = async {
            tokio::time::sleep(LATER / 2).await;
            assert!(outbox.push(note(4)));
        };
        let ((streams, waited), ()) = tokio::join!(next(&outbox), urgent);
        assert_eq!(streams, [0, 4]);
        assert!(waited < LATER, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn many_leave_in_batches_and_too_many_are_refused() {
        let outbox = Outbox::default();
        let streams: Vec<u64> = (0..MOST as u64).map(|number| 4 * number).collect();
        for stream in &streams {
            assert!(outbox.push(note(*stream)));
        }
        assert!(!outbox.push(note(1)));
        let mut left = Vec::new();
        while left.len() < MOST {
            let (batch, waited) = next(&outbox).await;
            assert_eq!(waited, Duration::ZERO);
            assert!(batch.len() <= BATCH);
            left.extend(batch);
        }
        assert_eq!(left, streams);
    }
}

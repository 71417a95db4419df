//! What the other end said of one stream, and what it wants to hear.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;

/// No position of a stream: those end below 2^62 (RFC 9000 section 16).
const NONE: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Mailbox {
    reset_at: AtomicU64,
    reader: AtomicWaker,
    writer: AtomicWaker,
    /// What our TCP connection took, and as far as we told.
    taken: AtomicU64,
    told: AtomicU64,
    /// The other end asks, and there was nothing new to tell.
    asked: AtomicBool,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            reset_at: AtomicU64::new(NONE),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
            taken: AtomicU64::new(0),
            told: AtomicU64::new(0),
            asked: AtomicBool::new(false),
        }
    }
}

impl Mailbox {
    /// Where the other end's reset takes place, once it is known; until then `cx` is woken for it.
    pub(super) fn reset_at(&self, cx: &mut Context<'_>) -> Option<u64> {
        self.reader.register(cx.waker());
        let at = self.reset_at.load(Ordering::Acquire);
        (at != NONE).then_some(at)
    }

    pub(super) fn resets_at(&self, at: u64) {
        self.reset_at.store(at, Ordering::Release);
        self.reader.wake();
    }

    pub(super) fn wake_to_send(&self, cx: &mut Context<'_>) {
        self.writer.register(cx.waker());
    }

    pub(super) fn may_send(&self) {
        self.writer.wake();
    }

    /// Our TCP connection took what came before `at`; returns what to tell, if it was asked for.
    pub(super) fn took(&self, at: u64) -> Option<u64> {
        self.taken.store(at, Ordering::Release);
        self.asked.load(Ordering::Acquire).then(|| self.tell())?
    }

    /// The other end asks; returns what to tell, if there is something new.
    pub(super) fn asked(&self) -> Option<u64> {
        self.asked.store(true, Ordering::Release);
        self.tell()
    }

    /// Whether the other end waits for an answer.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    fn tell(&self) -> Option<u64> {
        let taken = self.taken.load(Ordering::Acquire);
        let told = self.told.swap(taken, Ordering::AcqRel);
        if taken == told {
            return None;
        }
        self.asked.store(false, Ordering::Release);
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_told_once_it_is_asked_for_and_new() {
        let mailbox = Mailbox::default();
        assert_eq!(mailbox.took(5), None);
        assert_eq!(mailbox.asked(), Some(5));
        assert_eq!(mailbox.took(6), None);
        assert_eq!(mailbox.asked(), Some(6));
        assert_eq!(mailbox.asked(), None);
        assert_eq!(mailbox.took(9), Some(9));
        assert_eq!(mailbox.took(11), None);
    }
}

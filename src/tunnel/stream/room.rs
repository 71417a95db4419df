//! How many streams the other end of a session may have open: a few at first, and more as it uses them.
//!
//! QUIC makes room for every stream that it allows when it allows it, some 96 bytes for each: 65,536 are
//! 6.3 MB and milliseconds of the thread that moves packets, for each session that somebody begins, and
//! most sessions have a few dozen. So a session has room for four times what it has ever opened.

use std::sync::atomic::{AtomicU32, Ordering};

/// Streams that a session may have open at first: more than a page's worth of connections at once, 25 kB.
pub(crate) const FIRST: u32 = 256;

/// A session that has opened half of what it may have open may have so many times more: an ingress that
/// opens 65,536 at once waits for four round trips in all.
const GROWTH: u32 = 4;

/// What one session was given.
#[derive(Debug)]
pub(super) struct Room {
    given: AtomicU32,
    most: u32,
}

impl Room {
    /// Grows to `most`.
    pub(super) fn new(most: u32) -> Self {
        Self {
            given: AtomicU32::new(FIRST.min(most)),
            most,
        }
    }

    /// The other end has opened so many until now: what it may have open from now on, if that is more
    /// than before.
    pub(super) fn handle_opened(&self, streams: u64) -> Option<u32> {
        let given = self.given.load(Ordering::Relaxed);
        if given >= self.most || streams < u64::from(given / 2) {
            return None;
        }
        let more = given.saturating_mul(GROWTH).min(self.most);
        self.given.store(more, Ordering::Relaxed);
        Some(more)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::tunnel::SessionStreams;
    use crate::tunnel::testing::{PATIENCE, session_for};

    #[tokio::test]
    async fn whoever_opens_many_gets_room_for_them_and_for_no_more_than_the_limit() {
        const MOST: u32 = 3_000;
        let session = session_for(FIRST).await;
        let exit = SessionStreams::accepting(session.exit.clone(), 1 << 20, MOST);
        let accepting = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok(stream) = exit.accept().await {
                held.push(stream);
            }
        });
        let mut held = Vec::new();
        for _ in 0..MOST {
            let opened = timeout(PATIENCE, session.ingress.open_bi()).await;
            let (mut send, recv) = opened.expect("room in time").unwrap();
            send.write_all(b"x").await.unwrap();
            held.push((send, recv));
        }
        let another = timeout(Duration::from_millis(100), session.ingress.open_bi());
        assert!(another.await.is_err(), "{MOST} are open");
        accepting.abort();
    }

    #[test]
    fn room_grows_with_use_up_to_the_limit() {
        let room = Room::new(65_536);
        let grown: Vec<(u64, u32)> = (1..100_000)
            .filter_map(|opened| Some((opened, room.handle_opened(opened)?)))
            .collect();
        let expected = [(128, 1_024), (512, 4_096), (2_048, 16_384), (8_192, 65_536)];
        assert_eq!(grown, expected);
    }

    #[test]
    fn a_limit_below_the_first_room_is_kept() {
        for most in [1, 255, FIRST] {
            let room = Room::new(most);
            assert!((1..1_000).all(|opened| room.handle_opened(opened).is_none()));
        }
        let room = Room::new(FIRST + 1);
        assert_eq!(room.handle_opened(FIRST.into()), Some(FIRST + 1));
        assert_eq!(room.handle_opened(u64::MAX), None);
    }
}

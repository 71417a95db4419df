//! Whose turn it is among the streams that send much.
//!
//! One packet of each in turn is fair, and dear: a batch of packets then brings eight downloads a piece
//! each, and each piece is a wake-up and a write of its own. Through one transit eight downloads took
//! 3.2 CPU seconds per GB where one took 2.8. Where a session is so fast that nobody waits long, each
//! stream has the line to itself for as much as it wrote: those that wrote least go first (start-time
//! fair queueing, Goyal et al. 1996, by what was written instead of by packets).
//!
//! Where it is not, all have the same place, which is the last one: whoever is further ahead goes first
//! until it has caught up, so that nobody is left behind.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::window::stream_window;

/// The longest that a stream may wait for its next turn.
const PATIENCE: Duration = Duration::from_millis(20);

/// Between two looks at what the session sends.
const LOOK: Duration = Duration::from_millis(20);

/// Bytes of one place: what a relay reads from a socket at once.
const PLACE: u64 = 64 * 1024;

/// The turns of one session's streams.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The furthest that any stream is.
    furthest: AtomicU64,
    /// Streams that take turns.
    streams: AtomicUsize,
    pace: Mutex<Pace>,
}

/// What the session sends.
#[derive(Debug, Default)]
struct Pace {
    /// The last look, and the bytes that had been sent by then.
    last: Option<(Instant, u64)>,
    /// There are several streams, and the credit of all of them leaves within [`PATIENCE`].
    is_fast: bool,
    /// Credit of one stream, bytes.
    window: u64,
}

/// One stream's place in the order.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// What it wrote, as far as it counts.
    at: u64,
}

impl Turns {
    /// Whether [`handle_sent`](Self::handle_sent) is due.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let last = self.lock().last;
        last.is_none_or(|(at, _)| now.saturating_duration_since(at) >= LOOK)
    }

    /// The session, which has that round trip, sent so many bytes so far.
    pub(crate) fn handle_sent(&self, now: Instant, sent: u64, rtt: Duration) {
        let streams = self.streams.load(Ordering::Relaxed) as f64;
        let mut pace = self.lock();
        if let Some((at, before)) = pace.last {
            let elapsed = now.saturating_duration_since(at).as_secs_f64();
            let rate = sent.saturating_sub(before) as f64 / elapsed.max(f64::EPSILON);
            pace.window = stream_window(rtt);
            let round = streams * pace.window as f64;
            pace.is_fast = streams > 1.0 && rate * PATIENCE.as_secs_f64() >= round;
        }
        pace.last = Some((now, sent));
    }

    /// A stream takes turns from now on: behind all others.
    pub(crate) fn enter(&self) -> Turn {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Turn {
            at: self.furthest.load(Ordering::Relaxed),
        }
    }

    /// It takes none any more.
    pub(crate) fn leave(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }

    /// The place of a stream that wrote so many bytes; higher ones go first, and each is below 0. One
    /// that paused is no further behind than by its credit, or it would have the line for itself for as
    /// long as the others had it without it.
    pub(crate) fn place(&self, turn: &mut Turn, bytes: usize) -> i32 {
        let furthest = self.furthest.load(Ordering::Relaxed);
        let pace = self.lock();
        turn.at = match pace.is_fast {
            true => turn.at.max(furthest.saturating_sub(pace.window)) + bytes as u64,
            false => furthest,
        };
        self.furthest.fetch_max(turn.at, Ordering::Relaxed);
        // A session that carries more than 140 TB ends with one place for all.
        let place = i32::try_from(turn.at / PLACE).unwrap_or(i32::MAX);
        -1 - place.min(i32::MAX - 1)
    }

    fn lock(&self) -> MutexGuard<'_, Pace> {
        // Nothing is left half done where a panic could happen.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const READ: usize = 65_536;

    /// Two streams of a session that sends so many bytes a second.
    fn turns(rate: u64) -> (Turns, [Turn; 2]) {
        let (turns, start) = (Turns::default(), Instant::now());
        let streams = [turns.enter(), turns.enter()];
        turns.handle_sent(start, 0, MS);
        turns.handle_sent(start + 100 * MS, rate / 10, MS);
        (turns, streams)
    }

    #[test]
    fn on_a_fast_line_who_wrote_least_goes_first() {
        let (turns, [mut first, mut second]) = turns(500_000_000);
        assert_eq!(turns.place(&mut first, READ), -2);
        assert_eq!(turns.place(&mut first, READ), -3);
        assert_eq!(turns.place(&mut second, READ), -2);
        assert_eq!(turns.place(&mut second, 3 * READ), -5);
        // Who comes is behind all.
        let mut third = turns.enter();
        assert_eq!(turns.place(&mut third, READ), -6);
    }

    #[test]
    fn on_a_slow_line_all_have_the_last_place() {
        let (turns, [mut first, mut second]) = turns(10_000_000);
        assert_eq!(turns.place(&mut first, 12 * READ), -1);
        assert_eq!(turns.place(&mut second, READ), -1);
    }

    #[test]
    fn who_paused_gets_no_more_than_its_credit_ahead() {
        let (turns, [mut first, mut paused]) = turns(500_000_000);
        assert_eq!(turns.place(&mut paused, READ), -2);
        let mut place = 0;
        for _ in 0..1_000 {
            place = turns.place(&mut first, READ);
        }
        assert_eq!(place, -1_001);
        let credit = (stream_window(MS) / PLACE) as i32;
        assert_eq!(turns.place(&mut paused, READ), place + credit - 1);
    }

    /// Otherwise one that was ahead when the line became slow would have it for itself.
    #[test]
    fn a_line_that_becomes_slow_lets_those_behind_catch_up() {
        let (turns, [mut first, mut second]) = turns(500_000_000);
        assert_eq!(turns.place(&mut first, 9 * READ), -10);
        turns.handle_sent(Instant::now() + 1_000 * MS, 50_000_001, MS);
        assert_eq!(turns.place(&mut second, READ), -10);
        assert_eq!(turns.place(&mut first, READ), -10);
    }

    #[test]
    fn how_fast_is_enough_depends_on_how_many_wait() {
        let (turns, [mut first, _]) = turns(500_000_000);
        let more: Vec<Turn> = (0..14).map(|_| turns.enter()).collect();
        let later = Instant::now() + 1_000 * MS;
        turns.handle_sent(later, 0, MS);
        turns.handle_sent(later + 100 * MS, 50_000_000, MS);
        assert_eq!(turns.place(&mut first, 9 * READ), -1, "one of sixteen");
        more.iter().for_each(|_| turns.leave());
        turns.handle_sent(later + 200 * MS, 100_000_000, MS);
        assert_eq!(turns.place(&mut first, 9 * READ), -10, "one of two");
    }
}

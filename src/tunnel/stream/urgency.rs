//! Which streams go first: those that send little, before those that send much.
//!
//! One session carries all connections of a pair of agents. In turns, the first byte of a new
//! connection waits for a packet of each download: 60 ms behind eight of them at 1.6 Mbit/s, and twice,
//! for the reply to CONNECT and for what follows. So whoever sends much goes after everyone else
//! (shortest job first; RFC 8290 section 4.2 does as much for new flows). Streams that send much share
//! what is left in [turns](Turns).

use std::sync::Arc;
use std::time::Instant;

use quinn::SendStream;

use super::turns::{Turn, Turns};

/// Bytes that a stream may send at once and still go first: a page's request and the beginning of its
/// answer, a terminal's screen.
const BURST: f64 = 32.0 * 1024.0;

/// Bytes per second that it may send for ever: keystrokes, telephony. So many small streams would fill
/// a line of 10 Mbit/s only if they were forty.
const RATE: f64 = 32.0 * 1024.0;

/// What a stream has of [`BURST`] when it goes first again.
const ENOUGH: f64 = BURST / 2.0;

/// A stream's place among the others of its session: 0 where it begins, below where it sends much.
#[derive(Debug)]
pub(crate) struct Urgency {
    burst: Burst,
    turns: Arc<Turns>,
    /// It sends much.
    turn: Option<Turn>,
    place: i32,
}

/// What a stream may send and still go first.
#[derive(Clone, Copy, Debug)]
struct Burst {
    left: f64,
    at: Instant,
    is_bulk: bool,
}

impl Urgency {
    pub(crate) fn new(now: Instant, turns: Arc<Turns>) -> Self {
        Self {
            burst: Burst::new(now),
            turns,
            turn: None,
            place: 0,
        }
    }

    /// Bytes were written to the stream; moves it to its place if that is another now.
    pub(crate) fn handle_written(&mut self, now: Instant, bytes: usize, stream: &SendStream) {
        let is_bulk = self.burst.is_spent(now, bytes);
        let place = match is_bulk {
            true => {
                let turn = self.turn.get_or_insert_with(|| self.turns.enter());
                self.turns.place(turn, bytes)
            }
            false => {
                self.leave();
                0
            }
        };
        if std::mem::replace(&mut self.place, place) != place {
            // Fails only if the stream is over.
            let _ = stream.set_priority(place);
        }
    }

    fn leave(&mut self) {
        if self.turn.take().is_some() {
            self.turns.leave();
        }
    }
}

impl Drop for Urgency {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Burst {
    fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            at: now,
            is_bulk: false,
        }
    }

    /// Whether the stream sends much now that it has sent so many bytes more.
    fn is_spent(&mut self, now: Instant, bytes: usize) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        // It may owe as much as it may have, or a download's last second would cost it minutes.
        let earned = (self.left + RATE * elapsed).min(BURST);
        let enough = earned >= ENOUGH;
        self.left = (earned - bytes as f64).max(-BURST);
        self.is_bulk = self.left < 0.0 || (self.is_bulk && !enough);
        self.is_bulk
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_download_goes_last_and_a_terminal_never() {
        let start = Instant::now();
        let mut download = Burst::new(start);
        assert!(!download.is_spent(start, 16_384));
        assert!(!download.is_spent(start, 16_384));
        assert!(download.is_spent(start, 1));
        assert!(download.is_spent(start + MS, 65_536));
        let mut terminal = Burst::new(start);
        for key in 0..100_000 {
            assert!(!terminal.is_spent(start + key * 20 * MS, 100));
        }
    }

    #[test]
    fn whoever_was_quiet_for_seconds_goes_first_again() {
        let start = Instant::now();
        let mut stream = Burst::new(start);
        assert!(stream.is_spent(start, 10_000_000));
        assert!(stream.is_spent(start + 1_400 * MS, 100));
        assert!(!stream.is_spent(start + 1_600 * MS, 100));
    }

    #[test]
    fn a_steady_stream_above_the_rate_stays_last() {
        let start = Instant::now();
        let mut stream = Burst::new(start);
        let spent: Vec<bool> = (0..10_000_u32)
            .map(|step| stream.is_spent(start + step * 10 * MS, 1_000))
            .collect();
        let began = spent.iter().position(|spent| *spent).unwrap();
        assert!(spent[began..].iter().all(|spent| *spent));
    }
}

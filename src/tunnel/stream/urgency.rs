//! Which streams go first: those that send little, before those that send much.
//!
//! One session carries all connections of a pair of agents. In turns, the first byte of a new
//! connection waits for a packet of each download: 60 ms behind eight of them at 1.6 Mbit/s, and twice,
//! for the reply to CONNECT and for what follows. So whoever sends much goes after everyone else
//! (shortest job first; RFC 8290 section 4.2 does as much for new flows). Streams that send much share
//! what is left in turns.

use std::time::Instant;

use quinn::SendStream;

/// Bytes that a stream may send at once and still go first: a page's request and the beginning of its
/// answer, a terminal's screen.
const BURST: f64 = 32.0 * 1024.0;

/// Bytes per second that it may send for ever: keystrokes, telephony. So many small streams would fill
/// a line of 10 Mbit/s only if they were forty.
const RATE: f64 = 32.0 * 1024.0;

/// What a stream has of [`BURST`] when it goes first again.
const ENOUGH: f64 = BURST / 2.0;

/// A stream's place: 0, where it begins, before -1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Urgency {
    left: f64,
    at: Instant,
    is_bulk: bool,
}

impl Urgency {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            at: now,
            is_bulk: false,
        }
    }

    /// Bytes were written to the stream; moves it to its place if that is another now.
    pub(crate) fn handle_written(&mut self, now: Instant, bytes: usize, stream: &SendStream) {
        if let Some(place) = self.moves_to(now, bytes) {
            // Fails only if the stream is over.
            let _ = stream.set_priority(place);
        }
    }

    /// The place that so much more makes another one.
    fn moves_to(&mut self, now: Instant, bytes: usize) -> Option<i32> {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        // It may owe as much as it may have, or a download's last second would cost it minutes.
        let earned = (self.left + RATE * elapsed).min(BURST);
        let enough = earned >= ENOUGH;
        self.left = (earned - bytes as f64).max(-BURST);
        let is_bulk = self.left < 0.0 || (self.is_bulk && !enough);
        let moved = std::mem::replace(&mut self.is_bulk, is_bulk) != is_bulk;
        moved.then(|| -i32::from(is_bulk))
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
        let mut download = Urgency::new(start);
        assert_eq!(download.moves_to(start, 16_384), None);
        assert_eq!(download.moves_to(start, 16_384), None);
        assert_eq!(download.moves_to(start, 1), Some(-1));
        assert_eq!(download.moves_to(start + MS, 65_536), None);
        let mut terminal = Urgency::new(start);
        for key in 0..100_000 {
            assert_eq!(terminal.moves_to(start + key * 20 * MS, 100), None);
        }
    }

    #[test]
    fn whoever_was_quiet_for_seconds_goes_first_again() {
        let start = Instant::now();
        let mut stream = Urgency::new(start);
        assert_eq!(stream.moves_to(start, 10_000_000), Some(-1));
        assert_eq!(stream.moves_to(start + 1_400 * MS, 100), None);
        assert_eq!(stream.moves_to(start + 1_600 * MS, 100), Some(0));
    }

    #[test]
    fn a_steady_stream_above_the_rate_stays_last() {
        let start = Instant::now();
        let mut stream = Urgency::new(start);
        let moves: Vec<i32> = (0..10_000_u32)
            .filter_map(|step| stream.moves_to(start + step * 10 * MS, 1_000))
            .collect();
        assert_eq!(moves, [-1]);
    }
}

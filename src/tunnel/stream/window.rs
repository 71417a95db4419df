//! What one stream may have under way.

use std::time::Duration;

/// Credit of one stream on a short path. It bounds what one connection carries, because a round
/// trip grows with every agent on the way; larger ones make streams unfair to each other and let
/// short messages wait behind bulk. The worst gap of one of 8 streams was 2.1 s with 8 MiB; a byte's
/// echo beside a download through one transit took 1.4 to 1.7 ms (median) with 512 KiB, 1.8 ms with
/// this, 2.6 ms with 1 MiB; through three transits 1.9, 2.9 and 3.2 ms.
const STREAM_WINDOW: u64 = 768 * 1024;

/// Largest credit of one stream, on long paths: 0.8 Gbit/s at 40 ms. More would let a few streams
/// use up the session's window, and quinn gives freed credit to the last one that waited.
const STREAM_WINDOW_MAX: u64 = 4 * 1024 * 1024;

/// The rate one stream shall reach on a long path, bytes per second: 4 Gbit/s.
const STREAM_RATE: f64 = 500e6;

/// Credit of one stream on a path of that round trip, bytes.
pub(crate) fn stream_window(rtt: Duration) -> u64 {
    let long = (rtt.as_secs_f64() * STREAM_RATE) as u64;
    long.clamp(STREAM_WINDOW, STREAM_WINDOW_MAX)
}

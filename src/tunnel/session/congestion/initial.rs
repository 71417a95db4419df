//! What may be in flight at the beginning.

use std::time::Duration;

/// Packets at the beginning (RFC 6928).
const INITIAL_PACKETS: u64 = 10;

/// On a longer path than this the first window is larger by as much, so that no path begins with less
/// than a megabit per second: on one of 600 ms ten packets are a sixth of that, and take seven round
/// trips to 20 Mbit/s. quinn paces them.
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// How many times as large it is at most: as over a geostationary satellite.
const INITIAL_MOST: f64 = 6.0;

/// Bytes before anything is known of the path.
pub(super) fn initial_window(packet: u64) -> u64 {
    INITIAL_PACKETS * packet
}

/// Bytes once the round trip is known.
pub(super) fn first_window(packet: u64, rtt: Duration) -> f64 {
    let round_trips = rtt.as_secs_f64() / INITIAL_RTT.as_secs_f64();
    initial_window(packet) as f64 * round_trips.clamp(1.0, INITIAL_MOST)
}

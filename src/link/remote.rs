//! Where a neighbour's packets are sent after its address changed (NAT rebinding).
//!
//! QUIC moves a connection to a new address on the first packet from there, before it has proved
//! that the neighbour is there (RFC 9000 section 9.3): somebody beside the path who sends a copy of
//! a packet from a forged address first would pull the data away until the proof fails. Data
//! therefore follows only once heartbeat after heartbeat came from the new address. One stray copy
//! does not last: the neighbour's next heartbeat takes the connection back.

use std::time::{Duration, Instant};

use crate::forward::Remote;

/// Heartbeats in a row from a new address until data follows.
const IN_A_ROW: u32 = 3;

/// How long they take at least, in heartbeats: they may have been waiting for us together.
const SPAN: u32 = 2;

/// What QUIC's own proof takes at least is one round trip; this leaves it as much again.
const ROUND_TRIPS: u32 = 2;

/// The address in use for one neighbour's data, and the one that may take its place.
pub(super) struct RemoteChoice {
    current: Remote,
    /// The neighbour's heartbeat.
    interval: Duration,
    rival: Option<Rival>,
}

struct Rival {
    remote: Remote,
    since: Instant,
    heard: u32,
}

impl RemoteChoice {
    /// Data goes to `current`.
    pub(super) fn new(current: Remote, interval: Duration) -> Self {
        Self {
            current,
            interval,
            rival: None,
        }
    }

    /// A heartbeat was heard while the connection was at `seen`. Returns where data goes from now
    /// on, if that changed: `seen`, once it stood for three in a row, two heartbeats' time and two
    /// round trips.
    pub(super) fn handle_heartbeat(
        &mut self,
        now: Instant,
        seen: Remote,
        rtt: Duration,
    ) -> Option<Remote> {
        if seen == self.current {
            self.rival = None;
            return None;
        }
        let rival = match &mut self.rival {
            Some(rival) if rival.remote == seen => rival,
            _ => self.rival.insert(Rival {
                remote: seen,
                since: now,
                heard: 0,
            }),
        };
        rival.heard = rival.heard.saturating_add(1);
        let stood = now.saturating_duration_since(rival.since);
        let long_enough = (SPAN * self.interval).max(ROUND_TRIPS * rtt);
        if rival.heard < IN_A_ROW || stood < long_enough {
            return None;
        }
        self.rival = None;
        self.current = seen;
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);
    const RTT: Duration = Duration::from_millis(10);

    fn remote(port: u16) -> Remote {
        Remote {
            address: ([192, 0, 2, 1], port).into(),
            source: None,
        }
    }

    /// Heartbeats at milliseconds from addresses; returns the moves.
    fn moves(rtt: Duration, heartbeats: &[(u64, u16)]) -> Vec<(u64, u16)> {
        let start = Instant::now();
        let mut choice = RemoteChoice::new(remote(1), INTERVAL);
        let mut moves = Vec::new();
        for &(at, port) in heartbeats {
            let now = start + Duration::from_millis(at);
            if let Some(moved) = choice.handle_heartbeat(now, remote(port), rtt) {
                moves.push((at, moved.address.port()));
            }
        }
        moves
    }

    #[test]
    fn data_follows_an_address_that_stays() {
        let heard = [(0, 1), (100, 2), (200, 2), (300, 2), (400, 2)];
        assert_eq!(moves(RTT, &heard), [(300, 2)]);
    }

    #[test]
    fn one_copy_from_a_forged_address_moves_nothing() {
        let heard = [(0, 1), (100, 2), (200, 1), (300, 2), (400, 2), (500, 1)];
        assert_eq!(moves(RTT, &heard), []);
    }

    #[test]
    fn addresses_that_take_turns_move_nothing() {
        let heard = [(100, 2), (200, 3), (300, 2), (400, 3), (500, 2), (600, 3)];
        assert_eq!(moves(RTT, &heard), []);
    }

    #[test]
    fn heartbeats_that_waited_for_us_together_are_one_moment() {
        let heard = [(100, 2), (100, 2), (101, 2), (102, 2), (210, 2), (310, 2)];
        assert_eq!(moves(RTT, &heard), [(310, 2)]);
    }

    #[test]
    fn a_long_path_is_given_two_round_trips() {
        let heard: Vec<(u64, u16)> = (1..=10).map(|beat| (beat * 100, 2)).collect();
        assert_eq!(moves(Duration::from_millis(300), &heard), [(700, 2)]);
    }

    #[test]
    fn it_moves_again_and_back() {
        let ports = [2, 2, 2, 3, 3, 3, 1, 1, 1];
        let heard: Vec<(u64, u16)> = (1..).map(|beat| beat * 100).zip(ports).collect();
        assert_eq!(moves(RTT, &heard), [(300, 2), (600, 3), (900, 1)]);
    }
}

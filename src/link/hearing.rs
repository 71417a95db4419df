//! What counts as hearing a neighbour.
//!
//! Any packet with the link's token does, because heartbeats alone come late under load. But a
//! token can be copied by who sees the link's packets, so packets count only for a while after the
//! link connection has authenticated something: alone they keep no dead link up.

use std::time::{Duration, Instant};

/// Deadlines that packets may stand in for heartbeats. Heartbeats seen under full load came at most
/// 78 ms apart, less than one deadline.
const DEADLINES: u32 = 3;

/// When a neighbour was heard.
pub(super) struct Hearing {
    /// By the link connection.
    authentic: Instant,
}

impl Hearing {
    /// A neighbour whose hello was just heard.
    pub(super) fn new(now: Instant) -> Self {
        Self { authentic: now }
    }

    /// The link connection received something.
    pub(super) fn handle_authentic(&mut self, now: Instant) {
        self.authentic = now;
    }

    /// When the neighbour was last heard, if `packets` is when the last packet with the link's
    /// token came, and `deadline` the silence that is death.
    pub(super) fn last(&self, packets: Option<Instant>, deadline: Duration) -> Instant {
        let believed_until = self.authentic + DEADLINES * deadline;
        packets.map_or(self.authentic, |packets| {
            packets.min(believed_until).max(self.authentic)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{LinkState, Liveness};

    const DEADLINE: Duration = Duration::from_millis(300);

    #[test]
    fn packets_count_between_heartbeats_and_not_instead_of_them() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut hearing = Hearing::new(start);
        assert_eq!(hearing.last(None, DEADLINE), start);
        assert_eq!(hearing.last(Some(ms(250)), DEADLINE), ms(250));
        assert_eq!(hearing.last(Some(ms(2_000)), DEADLINE), ms(900));
        hearing.handle_authentic(ms(1_900));
        assert_eq!(hearing.last(Some(ms(2_000)), DEADLINE), ms(2_000));
        assert_eq!(hearing.last(Some(ms(1_000)), DEADLINE), ms(1_900));
    }

    #[test]
    fn a_dead_link_goes_down_however_many_packets_carry_its_token() {
        let interval = Duration::from_millis(100);
        let start = Instant::now();
        let hearing = Hearing::new(start);
        let mut liveness = Liveness::new(start, interval, interval, 3);
        let (mut now, mut last) = (start, start);
        while liveness.state() != LinkState::Down {
            now += Duration::from_millis(5);
            let heard = hearing.last(Some(now), liveness.deadline());
            if heard > last {
                last = heard;
                liveness.handle_received(heard);
            }
            liveness.handle_tick(now);
            assert!(now < start + 5 * DEADLINE, "kept up by packets alone");
        }
        assert!(now > start + 3 * DEADLINE, "packets do count for a while");
    }
}

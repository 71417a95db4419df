//! The congestion window of a link connection: quinn's, but never so small that heartbeats wait.
//!
//! Heartbeats have a rate of their own, which no loss lowers: held back by a window of two packets
//! they would be missed by the neighbour, and a path that loses a tenth of all packets would lose its
//! link although most heartbeats could arrive.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory, CubicConfig};

/// The smallest window, bytes: 4 kB of heartbeats a second at the default interval (18 short ones and
/// two full ones), for the nine seconds that the longest round trip takes with all of its jitter. Twice
/// the window that every connection may begin with (RFC 9002 section 7.2).
const LEAST: u64 = 36_000;

/// Makes the controllers of link connections.
pub(super) struct LinkWindow;

struct Bounded(Box<dyn Controller>);

impl ControllerFactory for LinkWindow {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let cubic = Arc::new(CubicConfig::default());
        Box::new(Bounded(cubic.build(now, current_mtu)))
    }
}

impl Controller for Bounded {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.0.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &quinn_proto::RttEstimator,
    ) {
        self.0.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.0
            .on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.0
            .on_congestion_event(now, sent, is_persistent_congestion, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.0.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.0.window().max(LEAST)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self(self.0.clone_box()))
    }

    fn initial_window(&self) -> u64 {
        self.0.initial_window().max(LEAST)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_loss_holds_heartbeats_back() {
        let now = Instant::now();
        let mut window = Arc::new(LinkWindow).build(now, 1_472);
        for _ in 0..50 {
            window.on_congestion_event(now, now, true, 1_472);
        }
        assert_eq!(window.window(), LEAST);
        assert!(window.initial_window() >= LEAST);
        assert_eq!(window.clone_box().window(), LEAST);
    }
}

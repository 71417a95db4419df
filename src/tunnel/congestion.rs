//! Congestion control of sessions: Cubic, that lets a few packets pass while a path is doubted.
//!
//! quinn sends the PING of a kick only if the congestion window has room, and while a path is dead
//! the window is full of what died in it: without room of its own a kick waits for the next
//! time-out, which doubles with each one that passed.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory, CubicConfig};

/// Packets that pass a full window with every kick: the PING and some of the data behind it, whose
/// acknowledgement tells what was lost.
const ROOM_PACKETS: u64 = 4;

/// What a session's task and its congestion controller tell each other.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Bytes sent that are neither acknowledged nor lost, by the controller.
    in_flight: AtomicU64,
    /// Bytes that may be in flight whatever the window is; 0 while the path is trusted.
    room: AtomicU64,
    packet: AtomicU64,
}

impl Signals {
    /// Bytes sent that are neither acknowledged nor lost yet.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Lets a few packets pass whatever the window is. Once per kick.
    pub(super) fn make_room(&self) {
        let room = ROOM_PACKETS * self.packet.load(Ordering::Relaxed);
        self.room.store(self.in_flight() + room, Ordering::Relaxed);
    }

    /// The path is trusted again.
    pub(super) fn take_room(&self) {
        self.room.store(0, Ordering::Relaxed);
    }
}

/// Makes the controller of one session.
pub(super) struct Factory {
    signals: Arc<Signals>,
    cubic: Arc<CubicConfig>,
}

impl Factory {
    pub(super) fn new(signals: Arc<Signals>) -> Arc<Self> {
        Arc::new(Self {
            signals,
            cubic: Arc::default(),
        })
    }
}

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        self.signals
            .packet
            .store(current_mtu.into(), Ordering::Relaxed);
        Box::new(Roomy {
            inner: self.cubic.clone().build(now, current_mtu),
            signals: self.signals.clone(),
        })
    }
}

struct Roomy {
    inner: Box<dyn Controller>,
    signals: Arc<Signals>,
}

impl Controller for Roomy {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.signals.in_flight.fetch_add(bytes, Ordering::Relaxed);
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &quinn_proto::RttEstimator,
    ) {
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        largest_packet_num_acked: Option<u64>,
    ) {
        self.signals.in_flight.store(in_flight, Ordering::Relaxed);
        self.inner
            .on_end_acks(now, in_flight, app_limited, largest_packet_num_acked);
    }

    /// What a dead path swallowed says nothing of the next one's capacity: it counts as one loss,
    /// not as a persistent congestion, which would start from two packets again.
    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        let doubted = self.signals.room.load(Ordering::Relaxed) > 0;
        let persistent = is_persistent_congestion && !doubted;
        self.inner
            .on_congestion_event(now, sent, persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.signals.packet.store(new_mtu.into(), Ordering::Relaxed);
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        let room = self.signals.room.load(Ordering::Relaxed);
        self.inner.window().max(room)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self {
            inner: self.inner.clone_box(),
            signals: self.signals.clone(),
        })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller() -> (Arc<Signals>, Box<dyn Controller>) {
        let signals = Arc::new(Signals::default());
        let factory = Factory::new(signals.clone());
        (signals, factory.build(Instant::now(), 1_200))
    }

    #[test]
    fn a_full_window_has_room_for_a_kick_and_not_for_more() {
        let (signals, mut controller) = controller();
        let window = controller.window();
        controller.on_sent(Instant::now(), window, 1);
        assert_eq!(signals.in_flight(), window);
        signals.make_room();
        assert_eq!(controller.window(), window + 4 * 1_200);
        controller.on_sent(Instant::now(), 4 * 1_200, 2);
        assert_eq!(controller.window(), signals.in_flight());
        signals.take_room();
        assert_eq!(controller.window(), window);
    }

    #[test]
    fn losses_of_a_doubted_path_are_one_loss() {
        let lose = |doubted: bool| {
            let (signals, mut controller) = controller();
            if doubted {
                signals.make_room();
            }
            let now = Instant::now();
            controller.on_congestion_event(now, now, true, 12_000);
            signals.take_room();
            controller.window()
        };
        assert!(lose(true) > lose(false));
    }

    #[test]
    fn acknowledgements_tell_what_is_in_flight() {
        let (signals, mut controller) = controller();
        controller.on_sent(Instant::now(), 5_000, 1);
        controller.on_end_acks(Instant::now(), 1_500, false, Some(1));
        assert_eq!(signals.in_flight(), 1_500);
    }
}

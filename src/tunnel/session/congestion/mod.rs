//! Congestion control of sessions, and the room that a kick gets in a full window.
//!
//! | file | what lives there |
//! |---|---|
//! | `bbr`, `phase` | the controller: phases and windows, pure |
//! | `path_model`, `rate`, `loss`, `filling`, `initial` | what it believes of the path, and the measures that it takes |
//!
//! quinn sends the PING of a kick only if the congestion window has room, and while a path is dead
//! the window is full of what died in it: without room of its own a kick waits for the next
//! time-out, which doubles with each one that passed.

mod bbr;
#[cfg(test)]
mod bottleneck;
#[cfg(test)]
mod control;
#[cfg(test)]
mod cubic;
mod filling;
mod initial;
mod loss;
mod path_model;
mod phase;
mod rate;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory, CubicConfig};

use self::bbr::Bbr;
use crate::config::Congestion;

/// Packets that pass a full window with every kick: the PING and some of the data behind it, whose
/// acknowledgement tells what was lost.
const ROOM_PACKETS: u64 = 4;

/// What a session's task and its congestion controller tell each other.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Bytes sent that are neither acknowledged nor lost, by the controller.
    in_flight: AtomicU64,
    /// Bytes that may be in flight whatever the window is; 0 while the path is trusted.
    room: AtomicU64,
    packet: AtomicU64,
    /// Moves to other paths so far.
    moves: AtomicU64,
}

impl Signals {
    /// Bytes sent that are neither acknowledged nor lost yet.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Lets a few packets pass whatever the window is. Once per kick.
    pub(crate) fn make_room(&self) {
        let room = ROOM_PACKETS * self.packet.load(Ordering::Relaxed);
        self.room.store(self.in_flight() + room, Ordering::Relaxed);
    }

    /// The path is trusted again.
    pub(crate) fn take_room(&self) {
        self.room.store(0, Ordering::Relaxed);
    }

    /// Packets take another path from now on.
    pub(crate) fn handle_move(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    fn doubted(&self) -> bool {
        self.room.load(Ordering::Relaxed) > 0
    }
}

/// Makes the controller of one session.
pub(crate) struct Factory {
    signals: Arc<Signals>,
    congestion: Congestion,
}

impl Factory {
    pub(crate) fn new(congestion: Congestion, signals: Arc<Signals>) -> Arc<Self> {
        Arc::new(Self {
            signals,
            congestion,
        })
    }
}

impl ControllerFactory for Factory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let signals = self.signals.clone();
        signals.packet.store(current_mtu.into(), Ordering::Relaxed);
        match self.congestion {
            Congestion::Bbr => Box::new(Modelled {
                bbr: Bbr::new(now, current_mtu.into()),
                moves: signals.moves.load(Ordering::Relaxed),
                signals,
            }),
            Congestion::Cubic => Box::new(Roomy {
                inner: Arc::new(CubicConfig::default()).build(now, current_mtu),
                signals,
            }),
        }
    }
}

/// [`Bbr`] under quinn.
#[derive(Clone)]
struct Modelled {
    bbr: Bbr,
    /// Of [`Signals::moves`], those that it knows of.
    moves: u64,
    signals: Arc<Signals>,
}

impl Modelled {
    fn listen(&mut self, now: Instant) {
        let moves = self.signals.moves.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.moves, moves) != moves {
            self.bbr.handle_path_change(now);
        }
        self.bbr.handle_doubt(self.signals.doubted());
    }
}

impl Controller for Modelled {
    fn on_sent(&mut self, now: Instant, bytes: u64, _last_packet_number: u64) {
        self.listen(now);
        self.signals.in_flight.fetch_add(bytes, Ordering::Relaxed);
        self.bbr.handle_sent(now, bytes);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        _rtt: &quinn_proto::RttEstimator,
    ) {
        self.bbr.handle_acked(now, sent, bytes);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        self.listen(now);
        self.signals.in_flight.store(in_flight, Ordering::Relaxed);
        self.bbr.handle_acks_end(now, in_flight, app_limited);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        _sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        self.listen(now);
        match is_persistent_congestion {
            true => self.bbr.handle_persistent_congestion(now),
            false => self.bbr.handle_lost(lost_bytes),
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.signals.packet.store(new_mtu.into(), Ordering::Relaxed);
        self.bbr.handle_packet_size(new_mtu.into());
    }

    fn window(&self) -> u64 {
        let room = self.signals.room.load(Ordering::Relaxed);
        self.bbr.window().max(room)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.bbr.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Cubic that lets a few packets pass while a path is doubted.
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
        let doubted = self.signals.doubted();
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
mod phenomena;
#[cfg(test)]
mod tests;

//! A congestion controller that follows a model of the path instead of losses, after
//! draft-ietf-ccwg-bbr. Pure: time and packets are handed in.
//!
//! ```text
//!  Startup ──no more comes through──► Drain ──queue is gone──► Cruise ──some rounds──► Probe
//!                                      ▲ ▲                       │                       │
//!                                      │ └─────round trip stale──┘                       │
//!                                      └────────no more comes through, or loss───────────┘
//! ```
//!
//! quinn paces at 1.25 windows per round trip and can be steered by the window alone. So each phase is
//! a window: its gain times rate and round trip, and an [allowance](PathModel::allowance).
//!
//! - **Loss** is no sign by itself. Much of it while probing bounds the window; very much makes the
//!   rate of late the one to believe.
//! - **Rivals** that fill every queue keep it from being empty when ours is drained. Then the least
//!   round trip that is believed grows to what it is beside them, and the window with it.

use std::time::{Duration, Instant};

use super::filling::Filling;
use super::initial::{first_window, initial_window};
use super::loss::Losses;
use super::path_model::{GONE, PathModel};
use super::phase::{
    CRUISE_GAIN, CRUISE_LEAST, CRUISE_ROUNDS, CRUISE_ROUNDS_MOST, DRAIN_GAIN, DRAIN_ROUNDS,
    HEADROOM, LEAST_PACKETS, PROBE_GAIN, PROBE_GROWTH, PROBE_ROUNDS, Phase, STALE_GAIN,
    STARTUP_GAIN, STARTUP_GROWTH, STARTUP_ROUNDS,
};
use super::rate::{Sample, Sampler};

/// The controller.
#[derive(Clone, Debug)]
pub(super) struct Bbr {
    packet: u64,
    sampler: Sampler,
    model: PathModel,
    losses: Losses,
    phase: Phase,
    since: Instant,
    /// Rounds begun in this phase.
    rounds: u32,
    /// Rounds begun in this phase when what is in flight fitted the path.
    drained: Option<u32>,
    /// The rate when the last round of this phase began, and rounds in which it did not grow.
    plateau: (f64, u32),
    /// Rounds until the next probe.
    patience: u32,
    /// The window at which much was lost, less the headroom.
    ceiling: Option<f64>,
    stale: bool,
    /// The least round trip when this phase began.
    believed: Option<Duration>,
    window: f64,
    /// Bytes sent that are neither acknowledged nor lost.
    in_flight: u64,
    acked: u64,
    doubted: bool,
    filling: Filling,
    /// While probing: since when what is sent comes through at a rate that does not grow, and how many bytes
    /// did; `None` once the application had nothing to send.
    probed: Option<(Instant, u64)>,
}

impl Bbr {
    pub(super) fn new(now: Instant, packet: u64) -> Self {
        Self {
            packet,
            sampler: Sampler::new(now),
            model: PathModel::new(now),
            losses: Losses::default(),
            phase: Phase::Startup,
            since: now,
            rounds: 0,
            drained: None,
            plateau: (0.0, 0),
            patience: CRUISE_ROUNDS,
            ceiling: None,
            stale: false,
            believed: None,
            window: initial_window(packet) as f64,
            in_flight: 0,
            acked: 0,
            doubted: false,
            filling: Filling::new(now),
            probed: None,
        }
    }

    /// Bytes that may be in flight.
    pub(super) fn window(&self) -> u64 {
        self.window as u64
    }

    /// Bytes that may be in flight at the beginning.
    pub(super) fn initial_window(&self) -> u64 {
        initial_window(self.packet)
    }

    pub(super) fn handle_packet_size(&mut self, packet: u64) {
        self.packet = packet;
        self.window = self.window.max(self.least());
    }

    pub(super) fn handle_sent(&mut self, now: Instant, bytes: u64) {
        self.sampler.handle_sent(now, self.in_flight == 0);
        self.in_flight += bytes;
    }

    /// A packet is acknowledged.
    pub(super) fn handle_acked(&mut self, now: Instant, sent: Instant, bytes: u64) {
        self.sampler.handle_acked(now, sent, bytes);
        self.acked += bytes;
    }

    /// An acknowledgement has been read. `starved`: the application has nothing to send.
    pub(super) fn handle_acks_end(&mut self, now: Instant, in_flight: u64, starved: bool) {
        self.in_flight = in_flight;
        let acked = std::mem::take(&mut self.acked);
        let least = self.model.min_rtt().unwrap_or_default();
        let sample = self.sampler.handle_acks_end(now, least);
        if starved {
            self.probed = None;
            self.sampler.handle_app_limited(in_flight);
        }
        let Some(sample) = sample.filter(|_| !self.doubted) else {
            return;
        };
        if !self.model.is_known() && self.window <= self.initial_window() as f64 {
            self.window = self.window.max(first_window(self.packet, sample.rtt));
        }
        self.model.handle_sample(now, &sample, acked);
        self.losses.handle_acked(acked);
        if let Some((_, bytes)) = &mut self.probed {
            *bytes += acked;
        }
        if sample.round {
            self.rounds += 1;
            self.handle_round(now, sample.app_limited);
        }
        self.advance(now, &sample);
        self.set_window(acked);
    }

    /// Packets are lost; no bytes: they are marked instead (RFC 3168).
    pub(super) fn handle_lost(&mut self, bytes: u64) {
        if self.doubted {
            return;
        }
        self.losses.handle_lost(bytes.max(self.packet));
        if bytes == 0 {
            self.bound();
        }
    }

    /// Nothing got through for long: what was known of the path is worth nothing.
    pub(super) fn handle_persistent_congestion(&mut self, now: Instant) {
        if !self.doubted {
            self.handle_path_change(now);
            self.window = self.initial_window() as f64;
        }
    }

    /// While the path is doubted, packets go along two paths, or along a dead one: what comes of them
    /// says nothing of either.
    pub(super) fn handle_doubt(&mut self, doubted: bool) {
        if !std::mem::replace(&mut self.doubted, doubted) || doubted {
            return;
        }
        // What left meanwhile is no measure.
        self.sampler.handle_app_limited(self.in_flight);
    }

    /// Packets take another path from now on. The window stays what filled the old one, or what a
    /// session begins with if that is more, until the new one has shown what it takes.
    pub(super) fn handle_path_change(&mut self, now: Instant) {
        let product = self.model.product();
        let begins = self.begins();
        if product > 0.0 && !begins {
            self.window = self.window.min(product).max(self.initial_window() as f64);
        }
        self.model = PathModel::new(now);
        self.losses = Losses::default();
        // The queue of what was carried over may be all that startup sees.
        (self.ceiling, self.stale) = (None, !begins);
        self.patience = CRUISE_ROUNDS;
        self.enter(now, Phase::Startup);
    }

    /// Whether it has sent no more yet than a session begins with: nothing is carried over to another path.
    fn begins(&self) -> bool {
        let is_new = self.phase == Phase::Startup && !self.stale;
        is_new && self.window <= first_window(self.packet, Duration::MAX)
    }

    fn enter(&mut self, now: Instant, phase: Phase) {
        (self.phase, self.since, self.rounds, self.drained) = (phase, now, 0, None);
        self.believed = self.model.min_rtt();
        self.plateau = (self.model.rate(), 0);
        self.filling = Filling::new(now);
        self.losses.begin();
    }

    /// A round has begun.
    fn handle_round(&mut self, now: Instant, app_limited: bool) {
        if self.losses.is_ruin() {
            // Startup sends twice what the path takes; that is told by the rate.
            if self.phase != Phase::Startup {
                self.model.believe_recent_rate();
            }
            self.bound();
        }
        let rate = self.model.rate();
        match self.phase {
            Phase::Startup if app_limited => {}
            Phase::Startup if rate >= self.plateau.0 * STARTUP_GROWTH => self.plateau = (rate, 0),
            Phase::Startup => self.plateau.1 += 1,
            Phase::Probe => {
                let grown = rate >= self.plateau.0 * PROBE_GROWTH;
                if self.rounds == 1 || grown {
                    self.probed = Some((now, 0));
                }
                self.plateau = (rate, u32::from(!grown));
            }
            Phase::Drain | Phase::Cruise => {}
        }
        if self.phase == Phase::Startup
            && self.plateau.1 > 0
            && (self.plateau.1 >= STARTUP_ROUNDS || self.losses.is_ruin())
        {
            self.enter(now, Phase::Drain);
        }
        if self.losses.is_told() && self.phase != Phase::Probe {
            if self.phase == Phase::Cruise && self.losses.is_much() {
                self.bound();
            }
            self.losses.begin();
        }
    }

    /// The step to the next phase, if it is time.
    fn advance(&mut self, now: Instant, sample: &Sample) {
        match self.phase {
            Phase::Startup => {
                if self.fills_a_queue(now, sample) {
                    self.enter(now, Phase::Drain);
                }
            }
            Phase::Drain => self.advance_drain(now),
            Phase::Cruise => {
                let lasted = now.saturating_duration_since(self.since) >= CRUISE_LEAST;
                if self.model.is_rtt_stale(now) {
                    self.stale = true;
                    self.enter(now, Phase::Drain);
                } else if self.rounds >= self.cruise_rounds() && lasted {
                    self.enter(now, Phase::Probe);
                }
            }
            Phase::Probe => {
                let lossy = self.losses.is_much();
                if lossy {
                    self.bound();
                    self.patience = (2 * self.patience).min(CRUISE_ROUNDS_MOST);
                } else if self.rounds >= PROBE_ROUNDS && self.plateau.1 > 0 {
                    let average = self.probed.take().map(|(since, bytes)| {
                        bytes as f64 / now.saturating_duration_since(since).as_secs_f64()
                    });
                    self.model.handle_probed(average);
                    (self.ceiling, self.patience) = (None, CRUISE_ROUNDS);
                }
                if lossy || (self.rounds >= PROBE_ROUNDS && self.plateau.1 > 0) {
                    self.enter(now, Phase::Drain);
                }
            }
        }
    }

    /// What an application sends that has no more says nothing of either.
    fn fills_a_queue(&mut self, now: Instant, sample: &Sample) -> bool {
        if sample.app_limited {
            self.filling = Filling::new(now);
            return false;
        }
        let least = self.model.min_rtt().unwrap_or(sample.rtt);
        let usual = self.model.recent_rtt().unwrap_or(sample.rtt);
        let rate = self.model.rate();
        self.filling.handle_rtt(now, sample.rtt, rate, least, usual)
    }

    /// The queue is ours as long as it goes with what we have in flight.
    fn advance_drain(&mut self, now: Instant) {
        let fits = self.in_flight as f64 <= self.drain() + self.packet as f64;
        if self.drained.is_none() && fits {
            self.drained = Some(self.rounds);
        }
        // One round to empty the queue, one to see the round trip without it.
        let seen = self.drained.is_some_and(|at| self.rounds >= at + 2);
        if !seen && self.rounds < DRAIN_ROUNDS {
            return;
        }
        if self.stale {
            let before = self.believed.zip(self.model.min_rtt());
            self.model.believe_recent_rtt(now);
            if before.is_some_and(|(before, least)| least < before.mul_f64(GONE)) {
                // The queue was our own, and may be still.
                return self.enter(now, Phase::Drain);
            }
            self.stale = false;
        } else {
            self.model.follow_rival();
        }
        self.model.handle_cycle_end();
        self.enter(now, Phase::Cruise);
    }

    /// Less than what was in flight when much was lost, but never less than what fills the path.
    fn bound(&mut self) {
        let product = self.model.product();
        if product > 0.0 {
            let bound = self.window.min(self.in_flight as f64) * HEADROOM;
            self.ceiling = Some(bound.max(product));
        }
    }

    /// Rounds until the next probe.
    fn cruise_rounds(&self) -> u32 {
        match self.model.is_outweighed() {
            true => self.patience / 2,
            false => self.patience,
        }
    }

    fn drain(&self) -> f64 {
        let gain = if self.stale { STALE_GAIN } else { DRAIN_GAIN };
        self.model.drain(self.packet, gain)
    }

    fn set_window(&mut self, acked: u64) {
        let window = match self.phase {
            Phase::Startup => self.grown(acked as f64),
            Phase::Drain => self.drain(),
            Phase::Cruise => {
                let window = self.model.cruise(self.packet, CRUISE_GAIN);
                self.ceiling.map_or(window, |ceiling| window.min(ceiling))
            }
            Phase::Probe => {
                let base = self.model.product().max(self.ceiling.unwrap_or_default());
                base * PROBE_GAIN + self.model.allowance(self.packet)
            }
        };
        self.window = window.max(self.least());
    }

    /// Doubles per round, but not beyond twice what was seen to come through.
    fn grown(&self, acked: f64) -> f64 {
        let product = self.model.product();
        let most = STARTUP_GAIN * product + self.model.allowance(self.packet);
        let most = most.max(self.initial_window() as f64);
        let grown = self.window + acked;
        match product > 0.0 {
            true if self.rounds >= 2 => grown.min(most),
            true => grown.min(most.max(self.window)),
            false => grown,
        }
    }

    fn least(&self) -> f64 {
        (LEAST_PACKETS * self.packet) as f64
    }
}

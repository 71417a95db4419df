//! One direction of an impaired link, pure: packets and time go in, packets come out.
//!
//! ```text
//!  handle_packet ─► queue ─► transmitter ─► wire ─► poll_packet
//!                   bytes,     rate         delay, jitter;
//!                   MTU                     cut, outages, loss at its entrance
//! ```
//!
//! The transmitter takes one packet after the other, each for as long as the rate says, whether or
//! not it is then lost. What is on the wire arrives even if the link is cut behind it. Order is
//! kept throughout: reordering is a matter of [`crate::rules`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::counters::PipeCounters;
use crate::impairment::{Impairment, LONGEST_DELAY};
use crate::packet::Packet;

/// Payload bytes on the wire at most; further packets are dropped: 1 Gbit/s for half a second.
const MOST_ON_WIRE: usize = 64 * 1024 * 1024;

/// One direction of a link.
#[derive(Debug)]
pub struct Pipe {
    impairment: Impairment,
    /// When it was imposed: outages count from here.
    since: Instant,
    random: StdRng,
    /// In the bad state of the loss model.
    in_burst: bool,
    queue: VecDeque<Packet>,
    queued_bytes: usize,
    /// When the transmitter began with the head of the queue; without meaning while that is empty.
    began: Instant,
    /// With the times of arrival, ascending.
    wire: VecDeque<(Instant, Packet)>,
    wire_bytes: usize,
    counters: PipeCounters,
}

impl Pipe {
    pub fn new(now: Instant, impairment: Impairment, seed: u64) -> Self {
        Self {
            impairment,
            since: now,
            random: StdRng::seed_from_u64(seed),
            in_burst: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
            began: now,
            wire: VecDeque::new(),
            wire_bytes: 0,
            counters: PipeCounters::default(),
        }
    }

    pub fn impairment(&self) -> Impairment {
        self.impairment
    }

    pub fn counters(&self) -> PipeCounters {
        PipeCounters {
            held: (self.queue.len() + self.wire.len()) as u64,
            ..self.counters
        }
    }

    /// Imposes other figures from now on. What waits is sent at the new rate, its head from its
    /// beginning; what is on the wire arrives as it would have.
    pub fn handle_impairment(&mut self, now: Instant, impairment: Impairment) {
        self.transmit(now);
        self.impairment = impairment;
        self.since = now;
        self.began = now;
        self.in_burst = false;
    }

    /// A packet comes in.
    pub fn handle_packet(&mut self, now: Instant, packet: Packet) {
        self.transmit(now);
        let length = packet.payload.len();
        self.counters.received += 1;
        self.counters.received_bytes += length as u64;
        if self.impairment.mtu.is_some_and(|mtu| length > mtu) {
            self.counters.too_large += 1;
            return;
        }
        if self.queue.is_empty() {
            self.began = now;
        } else if self.queued_bytes + length > self.impairment.queue {
            self.counters.queue_full += 1;
            return;
        }
        self.queued_bytes += length;
        self.queue.push_back(packet);
        self.transmit(now);
    }

    /// The next packet that has arrived at the other end.
    pub fn poll_packet(&mut self, now: Instant) -> Option<Packet> {
        self.transmit(now);
        if self.wire.front()?.0 > now {
            return None;
        }
        let (_, packet) = self.wire.pop_front()?;
        self.wire_bytes -= packet.payload.len();
        self.counters.delivered += 1;
        self.counters.delivered_bytes += packet.payload.len() as u64;
        Some(packet)
    }

    /// When to ask for the next packet.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let arrival = self.wire.front().map(|(at, _)| *at);
        let sent = self.head_sent();
        arrival.into_iter().chain(sent).min()
    }

    /// When the transmitter is done with the head of the queue.
    fn head_sent(&self) -> Option<Instant> {
        let head = self.queue.front()?;
        let takes = self.impairment.rate.map_or(Duration::ZERO, |rate| {
            rate.time(head.payload.len()).min(LONGEST_DELAY)
        });
        Some(self.began + takes)
    }

    /// Moves what has been sent by now from the queue to the wire.
    fn transmit(&mut self, now: Instant) {
        while let Some(sent) = self.head_sent().filter(|sent| *sent <= now)
            && let Some(packet) = self.queue.pop_front()
        {
            self.queued_bytes -= packet.payload.len();
            self.began = sent;
            self.enter_wire(sent, packet);
        }
    }

    fn enter_wire(&mut self, at: Instant, packet: Packet) {
        let elapsed = at.saturating_duration_since(self.since);
        let outages = self.impairment.outages;
        if self.impairment.cut || outages.is_some_and(|outages| outages.down_after(elapsed)) {
            self.counters.cut += 1;
        } else if self.loses() {
            self.counters.lost += 1;
        } else if self.wire_bytes + packet.payload.len() > MOST_ON_WIRE {
            self.counters.queue_full += 1;
        } else {
            let arrival = at + self.delay();
            let previous = self.wire.back().map_or(arrival, |(previous, _)| *previous);
            self.wire_bytes += packet.payload.len();
            self.wire.push_back((arrival.max(previous), packet));
        }
    }

    fn delay(&mut self) -> Duration {
        let Impairment { delay, jitter, .. } = self.impairment;
        let extra = jitter.min(LONGEST_DELAY);
        let extra = match extra.is_zero() {
            true => extra,
            false => extra.mul_f64(self.random.random()),
        };
        delay.min(LONGEST_DELAY) + extra
    }

    /// One step of the loss model.
    fn loses(&mut self) -> bool {
        let Some(bursts) = self.impairment.bursts else {
            return self.chance(self.impairment.loss.value());
        };
        let turns = if self.in_burst {
            bursts.leave
        } else {
            bursts.enter
        };
        if self.chance(turns.value()) {
            self.in_burst = !self.in_burst;
        }
        let loss = if self.in_burst {
            bursts.loss
        } else {
            self.impairment.loss
        };
        self.chance(loss.value())
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }
}

#[cfg(test)]
mod tests;

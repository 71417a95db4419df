//! Carries verdicts out: packets go in with their verdict, and come out when their time has come.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Rules, Verdict};
use crate::impairment::LONGEST_DELAY;
use crate::packet::{Direction, Packet};

/// Packets that delays and reorderings hold at most; further ones are dropped: 2 s of full packets
/// at 200 Mbit/s.
const MOST_HELD: usize = 32_768;

/// The place where packets meet the rules.
#[derive(Debug, Default)]
pub struct Stage {
    ready: VecDeque<(Direction, Packet)>,
    /// By the time at which they go on, and the order in which they came.
    delayed: BTreeMap<(Instant, u64), (Direction, Packet)>,
    overtaken: Vec<Overtaken>,
    arrivals: u64,
    counters: RuleCounters,
}

/// A packet that waits for later ones to overtake it.
#[derive(Debug)]
struct Overtaken {
    direction: Direction,
    packet: Packet,
    left: u32,
    until: Instant,
}

/// What rules did, in packets. `arrived + copied = dropped + passed +` what is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleCounters {
    pub arrived: u64,
    pub copied: u64,
    /// By verdict, or because too many are held.
    pub dropped: u64,
    pub passed: u64,
}

impl Stage {
    pub fn counters(&self) -> RuleCounters {
        self.counters
    }

    /// Packets that wait here.
    pub fn held(&self) -> usize {
        self.ready.len() + self.delayed.len() + self.overtaken.len()
    }

    /// Asks the rules about a packet and does what they say.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        rules: &mut Rules,
        direction: Direction,
        mut packet: Packet,
    ) {
        self.counters.arrived += 1;
        match rules.handle_packet(direction, &packet.payload) {
            Verdict::Pass => {}
            Verdict::Drop => {
                self.counters.dropped += 1;
                return;
            }
            Verdict::Delay(delay) => return self.delay(now, delay, direction, packet),
            Verdict::Reorder { by, within } if by > 0 => {
                if self.has_room() {
                    self.overtaken.push(Overtaken {
                        direction,
                        packet,
                        left: by,
                        until: now + within.min(LONGEST_DELAY),
                    });
                }
                return;
            }
            Verdict::Reorder { .. } => {}
            Verdict::Duplicate { copies } => {
                for _ in 0..copies {
                    self.counters.copied += 1;
                    self.ready.push_back((direction, packet.clone()));
                }
            }
            Verdict::Corrupt { bytes } => rules.corrupt(&mut packet.payload, bytes),
            Verdict::Truncate { to } => packet.payload.truncate(to),
        }
        let flow = packet.flow;
        self.ready.push_back((direction, packet));
        self.overtake(direction, flow);
    }

    /// The next packet that goes on.
    pub fn poll_packet(&mut self, now: Instant) -> Option<(Direction, Packet)> {
        self.release(now);
        let next = self.ready.pop_front()?;
        self.counters.passed += 1;
        Some(next)
    }

    /// When to ask for the next packet.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let delayed = self.delayed.first_key_value().map(|((at, _), _)| *at);
        let overtaken = self.overtaken.iter().map(|held| held.until).min();
        delayed.into_iter().chain(overtaken).min()
    }

    fn delay(&mut self, now: Instant, delay: Duration, direction: Direction, packet: Packet) {
        if self.has_room() {
            let at = now + delay.min(LONGEST_DELAY);
            self.arrivals += 1;
            self.delayed
                .insert((at, self.arrivals), (direction, packet));
        }
    }

    /// Counts the packet as dropped if there is none.
    fn has_room(&mut self) -> bool {
        let room = self.held() < MOST_HELD;
        if !room {
            self.counters.dropped += 1;
        }
        room
    }

    /// A packet of this flow went on.
    fn overtake(&mut self, direction: Direction, flow: u64) {
        let of_flow = |held: &Overtaken| held.direction == direction && held.packet.flow == flow;
        for held in self.overtaken.iter_mut().filter(|held| of_flow(held)) {
            held.left -= 1;
        }
        let done = self.overtaken.extract_if(.., |held| held.left == 0);
        self.ready
            .extend(done.map(|held| (held.direction, held.packet)));
    }

    /// Lets go of what has waited long enough.
    fn release(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry()
            && entry.key().0 <= now
        {
            self.ready.push_back(entry.remove());
        }
        let late = self.overtaken.extract_if(.., |held| held.until <= now);
        self.ready
            .extend(late.map(|held| (held.direction, held.packet)));
    }
}

//! A bottleneck and senders on both sides of quinn's rules, in virtual time: what the controller's
//! tests measure it against.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::bbr::Bbr;
use super::control::{Control, PACKET};
use super::cubic::Cubic;

/// Losses are told by packets that overtook (RFC 9002 section 6.1.1).
const REORDERING: usize = 3;

/// One direction of a path, and how its acknowledgements come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Mbit/s.
    pub(super) rate: f64,
    /// Round trip without queue.
    pub(super) rtt: Duration,
    /// Bytes.
    pub(super) queue: u64,
    pub(super) loss: f64,
    /// Losses in bursts: enter, leave, loss inside.
    pub(super) bursts: Option<(f64, f64, f64)>,
    /// A token bucket that drops instead of queueing: Mbit/s and bytes.
    pub(super) policer: Option<(f64, u64)>,
    /// Acknowledgements leave only this often.
    pub(super) lumps: Duration,
    /// At most, each way. Nothing overtakes.
    pub(super) jitter: Duration,
}

impl Line {
    pub(super) fn new(rate: f64, rtt_ms: u64, round_trips: f64) -> Self {
        let rtt = Duration::from_millis(rtt_ms);
        Self {
            rate,
            rtt,
            queue: (rate * 1e6 / 8.0 * rtt.as_secs_f64() * round_trips) as u64,
            loss: 0.0,
            bursts: None,
            policer: None,
            lumps: Duration::from_millis(1),
            jitter: Duration::ZERO,
        }
    }
}

/// A packet under way.
struct Flying {
    number: u64,
    sent: Instant,
}

pub(super) struct Sender {
    pub(super) control: Control,
    /// Bytes that it still has to send; `None`: as much as goes.
    pub(super) backlog: Option<u64>,
    next: u64,
    flying: VecDeque<Flying>,
    /// As quinn's pacer: tokens, and when they were counted.
    tokens: f64,
    counted: Instant,
    srtt: f64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) sent: u64,
}

/// Senders that share a line. Steps of a tenth of a millisecond.
pub(super) struct Bottleneck {
    pub(super) line: Line,
    pub(super) now: Instant,
    pub(super) senders: Vec<Sender>,
    random: StdRng,
    in_burst: bool,
    tokens: f64,
    /// Sender and number.
    queue: VecDeque<(usize, u64)>,
    credit: f64,
    /// Packets and then acknowledgements on the wire, by arrival.
    arrivals: BTreeMap<(Instant, u64), (usize, u64)>,
    /// At the receiver, and of its acknowledgement.
    last_arrivals: [Instant; 2],
    order: u64,
    held: Vec<Vec<u64>>,
    next_lump: Instant,
    /// Queueing delay, ms, at every step since it was last taken.
    delays: Vec<f64>,
}

const MS: Duration = Duration::from_millis(1);

const STEP: Duration = Duration::from_micros(100);

impl Bottleneck {
    pub(super) fn new(line: Line, seed: u64) -> Self {
        let now = crate::clock::now();
        Self {
            line,
            now,
            senders: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            in_burst: false,
            tokens: line.policer.map_or(0.0, |(_, bucket)| bucket as f64),
            queue: VecDeque::new(),
            credit: 0.0,
            arrivals: BTreeMap::new(),
            last_arrivals: [now; 2],
            order: 0,
            held: Vec::new(),
            next_lump: now,
            delays: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, control: Control) -> usize {
        self.senders.push(Sender {
            control,
            backlog: None,
            next: 0,
            flying: VecDeque::new(),
            tokens: 12_500.0,
            counted: self.now,
            srtt: 0.333,
            delivered: 0,
            lost: 0,
            sent: 0,
        });
        self.held.push(Vec::new());
        self.senders.len() - 1
    }

    pub(super) fn bbr(&mut self, sender: usize) -> &mut Bbr {
        match &mut self.senders[sender].control {
            Control::Bbr(bbr) => bbr,
            Control::Cubic { .. } => panic!("sender {sender} is no Bbr"),
        }
    }

    /// Runs for so long; Mbit/s that each sender got through.
    pub(super) fn run(&mut self, time: Duration) -> Vec<f64> {
        let before: Vec<u64> = self.senders.iter().map(|sender| sender.delivered).collect();
        self.delays.clear();
        let until = self.now + time;
        while self.now < until {
            self.now += STEP;
            self.transmit();
            self.acknowledge();
            (0..self.senders.len()).for_each(|sender| self.send(sender));
            let queued = self.queue.len() as f64 * PACKET as f64;
            self.delays.push(queued * 8.0 / self.line.rate / 1e3);
        }
        let got = self.senders.iter().zip(before);
        got.map(|(sender, before)| {
            (sender.delivered - before) as f64 * 8.0 / 1e6 / time.as_secs_f64()
        })
        .collect()
    }

    /// Queueing delay of the last run, ms: mean and most.
    pub(super) fn delay(&self) -> (f64, f64) {
        let most = self.delays.iter().copied().fold(0.0, f64::max);
        (
            self.delays.iter().sum::<f64>() / self.delays.len() as f64,
            most,
        )
    }

    fn send(&mut self, id: usize) {
        let now = self.now;
        loop {
            let sender = &mut self.senders[id];
            let window = sender.control.window();
            let in_flight = sender.flying.len() as u64 * PACKET;
            if sender.backlog == Some(0) || in_flight + PACKET >= window {
                return;
            }
            let elapsed = now.saturating_duration_since(sender.counted).as_secs_f64();
            let burst =
                (window as f64 * 0.002 / sender.srtt).clamp(10.0 * 1_250.0, 256.0 * 1_250.0);
            sender.tokens =
                (sender.tokens + 1.25 * window as f64 * elapsed / sender.srtt).min(burst);
            sender.counted = now;
            if sender.tokens < PACKET as f64 {
                return;
            }
            sender.tokens -= PACKET as f64;
            if let Some(backlog) = &mut sender.backlog {
                *backlog = backlog.saturating_sub(PACKET);
            }
            let number = sender.next;
            sender.next += 1;
            sender.sent += 1;
            sender.flying.push_back(Flying { number, sent: now });
            if let Control::Bbr(bbr) = &mut sender.control {
                bbr.handle_sent(now, PACKET);
            }
            self.enter(id, number);
        }
    }

    fn enter(&mut self, id: usize, number: u64) {
        if self.line.policer.is_some() {
            if self.tokens < PACKET as f64 {
                return;
            }
            self.tokens -= PACKET as f64;
        }
        if (self.queue.len() as u64 + 1) * PACKET <= self.line.queue.max(PACKET) {
            self.queue.push_back((id, number));
        }
    }

    fn transmit(&mut self) {
        let step = STEP.as_secs_f64();
        if let Some((rate, bucket)) = self.line.policer {
            self.tokens = (self.tokens + rate * 1e6 / 8.0 * step).min(bucket as f64);
        }
        self.credit += self.line.rate * 1e6 / 8.0 * step;
        while self.credit >= PACKET as f64 {
            let Some((id, number)) = self.queue.pop_front() else {
                self.credit = 0.0;
                break;
            };
            self.credit -= PACKET as f64;
            if self.loses() {
                continue;
            }
            let mut arrival = self.now;
            for last in &mut self.last_arrivals {
                let jitter = self.line.jitter.mul_f64(self.random.random());
                arrival = (arrival + self.line.rtt / 2 + jitter).max(*last);
                *last = arrival;
            }
            self.order += 1;
            self.arrivals.insert((arrival, self.order), (id, number));
        }
    }

    fn loses(&mut self) -> bool {
        let Some((enter, leave, inside)) = self.line.bursts else {
            return self.random.random_bool(self.line.loss);
        };
        let turns = if self.in_burst { leave } else { enter };
        self.in_burst ^= self.random.random_bool(turns);
        self.random.random_bool(if self.in_burst {
            inside
        } else {
            self.line.loss
        })
    }

    /// Acknowledgements: of what has been there and back.
    fn acknowledge(&mut self) {
        while let Some(entry) = self.arrivals.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (id, number) = entry.remove();
            self.held[id].push(number);
        }
        if self.now < self.next_lump {
            return;
        }
        self.next_lump = self.now + self.line.lumps;
        for id in 0..self.senders.len() {
            let numbers = std::mem::take(&mut self.held[id]);
            if !numbers.is_empty() {
                self.senders[id].handle_acks(self.now, &numbers);
            }
        }
    }
}

impl Sender {
    fn handle_acks(&mut self, now: Instant, numbers: &[u64]) {
        let mut acked = 0;
        let mut newest = None;
        for number in numbers {
            let found = self.flying.iter().position(|it| it.number == *number);
            let Some(packet) = found.and_then(|index| self.flying.remove(index)) else {
                continue;
            };
            acked += PACKET;
            newest = Some(packet.sent);
            if let Control::Bbr(bbr) = &mut self.control {
                bbr.handle_acked(now, packet.sent, PACKET);
            }
        }
        let Some(newest) = newest else { return };
        let rtt = now - newest;
        self.srtt = match self.delivered {
            0 => rtt.as_secs_f64(),
            _ => 0.875 * self.srtt + 0.125 * rtt.as_secs_f64(),
        };
        self.delivered += acked;
        let in_flight = self.flying.len() as u64 * PACKET;
        match &mut self.control {
            Control::Bbr(bbr) => bbr.handle_acks_end(now, in_flight, self.backlog == Some(0)),
            Control::Cubic {
                cubic,
                window,
                slow_start: slow_start @ true,
                least,
            } => {
                *window += acked as f64;
                if let Some(least) = least {
                    *least = rtt.min(*least);
                    let more = (*least / 8).clamp(4 * MS, 16 * MS);
                    if rtt > *least + more {
                        (*slow_start, *cubic) = (false, Cubic::new(now, *window, PACKET));
                    }
                }
            }
            Control::Cubic { cubic, .. } => cubic.handle_acked(now, acked, rtt),
        }
        self.lose(now, numbers.last().copied().unwrap_or_default());
    }

    fn lose(&mut self, now: Instant, largest: u64) {
        let mut lost = None;
        let mut bytes = 0;
        while let Some(first) = self.flying.front()
            && first.number + REORDERING as u64 <= largest
        {
            lost = Some(first.sent);
            bytes += PACKET;
            self.flying.pop_front();
            // It is sent again.
            if let Some(backlog) = &mut self.backlog {
                *backlog += PACKET;
            }
        }
        self.lost += bytes / PACKET;
        let Some(sent) = lost else { return };
        match &mut self.control {
            Control::Bbr(bbr) => bbr.handle_lost(bytes),
            Control::Cubic {
                cubic,
                window,
                slow_start,
                ..
            } => {
                if std::mem::take(slow_start) {
                    *cubic = Cubic::new(now, *window, PACKET);
                }
                cubic.handle_lost(now, sent);
            }
        }
    }
}

//! Whether the neighbour at the other end of a link is alive.
//!
//! ```text
//!                 silent for 1.5 intervals
//!   ┌────┐ ─────────────────────────────────► ┌─────────┐
//!   │ Up │                                    │ Suspect │
//!   └────┘ ◄───────────────────────────────── └─────────┘
//!     ▲ │                heard                     │
//!     │ │ silent past the deadline                 │ silent past the deadline
//!     │ │ (deadline below 1.5 intervals)           ▼
//!     │ │                                     ┌─────────┐
//!     │ └───────────────────────────────────► │  Down   │
//!     └────────────────────────────────────── └─────────┘
//!                        heard
//! ```
//!
//! Any authenticated receive is a sign of life; a send never is. The deadline is
//! max(`dead_after` × interval, interval + 4 × jitter, 1.5 × round trip): what is sent at even
//! distances arrives at uneven ones, and on a long path by much more than an interval.
//!
//! The side that was dialled hears the first heartbeat a round trip after it spoke, because the other
//! one must hear its hello first. Until then both thresholds are [`FIRST_WORD`] round trips later.
//!
//! Silence counts only while we are awake to hear. Ticks come at least every half interval, so a
//! tick that comes late measures how long we were not running, and both thresholds move by as much;
//! after a pause of an interval or more, no verdict falls until we were awake for a whole one.

#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Ticks late by less than this fraction of the interval are the timer's grain, not a pause: six of
/// them, one silence's worth, stay well below the interval that separates late from dead.
const TIMER_GRAIN: u32 = 10;

/// Round trips that count at most. Three seconds with as much jitter each way are nine; the deadline
/// stays below the 15 s after which QUIC gives a link connection up.
const LONGEST_RTT: Duration = Duration::from_millis(9_500);

/// Round trips until the neighbour's first heartbeat: one, and two for a hello that is lost and sent
/// again (RFC 9002 section 6.2.1), or for jitter of a round trip each way.
const FIRST_WORD: u32 = 3;

/// One link's liveness.
#[derive(Debug)]
pub struct Liveness {
    interval: Duration,
    /// Silence that is death, before jitter.
    dead_after: Duration,
    state: LinkState,
    rtt: Duration,
    /// Nothing was heard since the link's opening.
    is_new: bool,
    /// When the neighbour was last heard.
    heard: Instant,
    /// How much of the silence since `heard` we slept through.
    slept: Duration,
    /// No verdict before this moment.
    verdict_from: Instant,
    /// When we last ran.
    awake: Instant,
    jitter: Jitter,
    events: VecDeque<LinkState>,
}

/// What a link's silence says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkState {
    Up,
    /// New connections avoid the link and sessions over it mirror their packets.
    Suspect,
    Down,
}

/// What happens to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Received,
    Tick,
}

/// Smoothed lateness of what the neighbour sends, one sample an interval: the longest silence in it
/// past the interval. Sampling every packet would let a burst wash the lateness of heartbeats out.
#[derive(Debug)]
struct Jitter {
    smoothed: Duration,
    worst: Duration,
    sampled: Instant,
}

impl Liveness {
    /// A link that was heard just now. The interval is the larger of both sides' heartbeats,
    /// because the slower side sets what can be expected of it. `dead_after` counts intervals, at
    /// least 1.
    pub fn new(
        now: Instant,
        own_heartbeat: Duration,
        peer_heartbeat: Duration,
        dead_after: u32,
    ) -> Self {
        let interval = own_heartbeat.max(peer_heartbeat);
        Self {
            interval,
            dead_after: interval * dead_after.max(1),
            state: LinkState::Up,
            rtt: Duration::ZERO,
            is_new: true,
            heard: now,
            slept: Duration::ZERO,
            verdict_from: now,
            awake: now,
            jitter: Jitter::new(now),
            events: VecDeque::new(),
        }
    }

    /// As of the last input or tick.
    pub fn state(&self) -> LinkState {
        self.state
    }

    /// The interval in use: the larger of both sides' heartbeats.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The round trip, smoothed, as of now. Zero until it is told.
    pub fn handle_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt.min(LONGEST_RTT);
    }

    /// Silence after which the link is down, our own pauses not counted.
    pub fn deadline(&self) -> Duration {
        self.dead_after
            .max(self.interval + 4 * self.jitter.smoothed)
            .max(self.rtt * 3 / 2)
    }

    /// Silence after which the link is suspect: 1.5 intervals, as late as a chronically late link
    /// usually is, or half of what is death on a long path.
    pub fn suspect_after(&self) -> Duration {
        (self.interval * 3 / 2)
            .max(self.interval + 2 * self.jitter.smoothed)
            .max(self.rtt)
    }

    /// For how long the neighbour has not been heard.
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    /// Something authentic arrived from the neighbour.
    pub fn handle_received(&mut self, now: Instant) {
        let slept = self.slept + self.overslept(now);
        let silence = self.silence(now).saturating_sub(slept);
        let lateness = silence.saturating_sub(self.interval);
        match self.state {
            LinkState::Up | LinkState::Suspect => {
                let most = self.dead_after / 2;
                self.jitter.sample(now, self.interval, lateness.min(most));
            }
            LinkState::Down => self.jitter = Jitter::new(now),
        }
        self.heard = now;
        self.is_new = false;
        self.awake = now;
        self.slept = Duration::ZERO;
        self.verdict_from = now;
        self.step(now, Input::Received);
    }

    /// Time passed; due at [`poll_timeout`](Self::poll_timeout).
    pub fn handle_tick(&mut self, now: Instant) {
        let overslept = self.overslept(now);
        self.slept += overslept;
        if overslept >= self.interval {
            self.verdict_from = now + self.interval;
        }
        self.awake = self.awake.max(now);
        self.step(now, Input::Tick);
    }

    /// When to tick; `None` while down, when only hearing the neighbour changes anything.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let threshold = match self.state {
            LinkState::Up => self.suspect_at().min(self.down_at()),
            LinkState::Suspect => self.down_at(),
            LinkState::Down => return None,
        };
        Some(threshold.min(self.awake + self.interval / 2))
    }

    /// The next change of state to act on.
    pub fn poll_event(&mut self) -> Option<LinkState> {
        self.events.pop_front()
    }

    fn step(&mut self, now: Instant, input: Input) {
        let is_down = now >= self.down_at();
        let is_suspect = now >= self.suspect_at();
        let next = match (self.state, input) {
            (LinkState::Up | LinkState::Suspect | LinkState::Down, Input::Received) => {
                LinkState::Up
            }
            (LinkState::Up | LinkState::Suspect, Input::Tick) if is_down => LinkState::Down,
            (LinkState::Up, Input::Tick) if is_suspect => LinkState::Suspect,
            (LinkState::Up, Input::Tick) => LinkState::Up,
            (LinkState::Suspect, Input::Tick) => LinkState::Suspect,
            (LinkState::Down, Input::Tick) => LinkState::Down,
        };
        if next != self.state {
            self.state = next;
            self.events.push_back(next);
        }
    }

    fn suspect_at(&self) -> Instant {
        self.heard + self.suspect_after() + self.slept + self.first_word()
    }

    fn down_at(&self) -> Instant {
        (self.heard + self.deadline() + self.slept + self.first_word()).max(self.verdict_from)
    }

    /// How much longer the first heartbeat is waited for.
    fn first_word(&self) -> Duration {
        match self.is_new {
            true => self.rtt * FIRST_WORD,
            false => Duration::ZERO,
        }
    }

    /// How long past our next tick it is.
    fn overslept(&self, now: Instant) -> Duration {
        let due = self.poll_timeout().unwrap_or(now);
        let late = now.saturating_duration_since(due);
        if late > self.interval / TIMER_GRAIN {
            late
        } else {
            Duration::ZERO
        }
    }
}

impl Jitter {
    fn new(now: Instant) -> Self {
        Self {
            smoothed: Duration::ZERO,
            worst: Duration::ZERO,
            sampled: now,
        }
    }

    /// Folds a lateness in, with the gain that RFC 6298 section 2 gives to variation.
    fn sample(&mut self, now: Instant, interval: Duration, lateness: Duration) {
        self.worst = self.worst.max(lateness);
        if now.saturating_duration_since(self.sampled) >= interval {
            self.smoothed = (self.smoothed * 3 + self.worst) / 4;
            self.worst = Duration::ZERO;
            self.sampled = now;
        }
    }
}

#[cfg(test)]
mod tests;

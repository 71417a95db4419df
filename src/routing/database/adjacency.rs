//! One adjacency of ours: when it is told to the mesh, and when its changes are.
//!
//! ```text
//!              up, no flaps                  down: told at once, one more flap
//!        ┌──────────────────────► Told ──────────────────────┐
//!        │                         ▲                         ▼
//!      Down ◄──────────────────────┼───────────────────── Down
//!        │                         │ held long enough        ▲
//!        └──────────────────────► Held ──────────────────────┘
//!              up, some flaps                down: one more flap
//! ```
//!
//! The hold is 1 s for one flap and doubles with each to 60 s. A flap is forgiven for every 60 s
//! since the last down, so that a link that behaves for a while is believed at once again.
//!
//! A link that went down because an end stood still (stopped, suspended) is no flap: the last
//! one is pardoned, once in 5 s.
//!
//! A hold spares the mesh a path that may be gone in a moment. Where nothing else leads to the
//! neighbour there is nothing better to keep, and it would only make the outage longer: there one
//! flap costs no hold, and more cost 1 s and never longer, so that the mesh hears of such a link
//! once a second at most.

use std::time::{Duration, Instant};

use crate::identity::AgentId;
use crate::wire::{Neighbor, rtt_class};

/// Hold after the first flap: longer than one reconnect of a link that comes back by itself.
const FIRST_HOLD: Duration = Duration::from_secs(1);

/// Longest hold, and the time for which one flap is remembered.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// Between two pardons: most of the time a link stays told, then.
const PARDON_REST: Duration = Duration::from_secs(5);

/// Flaps remembered at most: two more than reach the longest hold.
const MOST_FLAPS: u32 = 8;

/// What the link measures and is configured to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkMetrics {
    /// At least 1.
    pub cost: u32,
    /// Round trip, microseconds; 0 while unknown.
    pub rtt_us: u64,
    /// Largest UDP payload known to pass, bytes; 0 while unknown.
    pub mtu: u16,
}

impl LinkMetrics {
    /// How an advertisement states them of the link with `id`.
    pub(super) fn neighbor(self, id: AgentId) -> Neighbor {
        Neighbor {
            id,
            cost: self.cost.max(1),
            rtt_class: rtt_class(self.rtt_us),
            mtu: self.mtu,
        }
    }
}

/// What happens to an adjacency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Up(LinkMetrics),
    Metrics {
        rtt_us: u64,
        mtu: u16,
    },
    /// Nothing else leads to the neighbour.
    SoleWay,
    Down,
    /// It went down because one end stood still, which says nothing about the link.
    Pardon,
    Tick,
}

/// When the mesh is to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    Nothing,
    /// It went down.
    AtOnce,
    /// It came up: with others that come up right after.
    Soon,
    /// With others, at most once per second.
    Batched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down,
    Held {
        since: Instant,
        until: Instant,
        is: LinkMetrics,
    },
    Told {
        is: LinkMetrics,
        told: LinkMetrics,
    },
}

/// One adjacency and its flap history.
#[derive(Clone, Debug)]
pub(super) struct Adjacency {
    state: State,
    flaps: u32,
    last_down: Option<Instant>,
    /// When a flap was last pardoned.
    pardoned: Option<Instant>,
}

impl Adjacency {
    pub(super) fn new() -> Self {
        Self {
            state: State::Down,
            flaps: 0,
            last_down: None,
            pardoned: None,
        }
    }

    pub(super) fn handle(&mut self, now: Instant, input: Input) -> Tell {
        let (state, tell) = match (self.state, input) {
            (State::Down, Input::Up(is)) => match self.hold(now) {
                None => (State::Told { is, told: is }, Tell::Soon),
                Some(hold) => (held(now, now + hold, is), Tell::Nothing),
            },
            (State::Down, Input::Metrics { .. } | Input::SoleWay | Input::Down | Input::Tick) => {
                (State::Down, Tell::Nothing)
            }
            (state, Input::Pardon) => {
                self.pardon(now);
                (state, Tell::Nothing)
            }
            (State::Held { since, until, .. }, Input::Up(is)) => {
                (held(since, until, is), Tell::Nothing)
            }
            (State::Held { since, until, is }, Input::Metrics { rtt_us, mtu }) => {
                let is = LinkMetrics { rtt_us, mtu, ..is };
                (held(since, until, is), Tell::Nothing)
            }
            (State::Held { since, until, is }, Input::SoleWay) => {
                let until = until.min(since + self.sole_way_hold(now));
                unless_over(now, since, until, is)
            }
            (State::Held { .. }, Input::Down) => {
                self.flap(now);
                (State::Down, Tell::Nothing)
            }
            (State::Held { since, until, is }, Input::Tick) => unless_over(now, since, until, is),
            (State::Told { told, .. }, Input::Up(is)) => {
                (State::Told { is, told }, worth_telling(told, is))
            }
            (State::Told { is, told }, Input::Metrics { rtt_us, mtu }) => {
                let is = LinkMetrics { rtt_us, mtu, ..is };
                (State::Told { is, told }, worth_telling(told, is))
            }
            (State::Told { .. }, Input::Down) => {
                self.flap(now);
                (State::Down, Tell::AtOnce)
            }
            (State::Told { is, told }, Input::SoleWay | Input::Tick) => {
                (State::Told { is, told }, Tell::Nothing)
            }
        };
        self.state = state;
        tell
    }

    /// What an advertisement issued now says of it; from then on that counts as told.
    pub(super) fn tell(&mut self) -> Option<LinkMetrics> {
        match &mut self.state {
            State::Down | State::Held { .. } => None,
            State::Told { is, told } => {
                *told = *is;
                Some(*is)
            }
        }
    }

    /// Until when an adjacency that is up stays untold.
    pub(super) fn held_until(&self) -> Option<Instant> {
        match self.state {
            State::Held { until, .. } => Some(until),
            State::Down | State::Told { .. } => None,
        }
    }

    /// Of an adjacency that is up, told or not.
    pub(super) fn metrics(&self) -> Option<LinkMetrics> {
        match self.state {
            State::Down => None,
            State::Held { is, .. } | State::Told { is, .. } => Some(is),
        }
    }

    pub(super) fn is_told(&self) -> bool {
        match self.state {
            State::Told { .. } => true,
            State::Down | State::Held { .. } => false,
        }
    }

    /// Whether nothing about it is worth remembering.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        let rested = self.pardoned.is_none_or(|last| now >= last + PARDON_REST);
        self.state == State::Down && self.remembered_flaps(now) == 0 && rested
    }

    fn flap(&mut self, now: Instant) {
        self.flaps = (self.remembered_flaps(now) + 1).min(MOST_FLAPS);
        self.last_down = Some(now);
    }

    /// Takes the last flap back, unless one was taken back just before: an agent that stands still again
    /// and again is as bad a way as a link that flaps.
    fn pardon(&mut self, now: Instant) {
        if self.pardoned.is_some_and(|last| now < last + PARDON_REST) {
            return;
        }
        self.flaps = self.remembered_flaps(now).saturating_sub(1);
        self.pardoned = Some(now);
    }

    fn remembered_flaps(&self, now: Instant) -> u32 {
        let Some(last_down) = self.last_down else {
            return 0;
        };
        let forgiven = now.saturating_duration_since(last_down).as_secs() / LONGEST_HOLD.as_secs();
        self.flaps
            .saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    fn hold(&self, now: Instant) -> Option<Duration> {
        let doublings = self.remembered_flaps(now).checked_sub(1)?;
        Some((FIRST_HOLD * 2_u32.pow(doublings)).min(LONGEST_HOLD))
    }

    fn sole_way_hold(&self, now: Instant) -> Duration {
        match self.remembered_flaps(now) {
            0 | 1 => Duration::ZERO,
            _ => FIRST_HOLD,
        }
    }
}

fn held(since: Instant, until: Instant, is: LinkMetrics) -> State {
    State::Held { since, until, is }
}

/// Held on, or told because the hold is over.
fn unless_over(now: Instant, since: Instant, until: Instant, is: LinkMetrics) -> (State, Tell) {
    if until <= now {
        (State::Told { is, told: is }, Tell::Soon)
    } else {
        (held(since, until, is), Tell::Nothing)
    }
}

/// Changes below 20 % are noise. A packet size is told however small the step: packets of one that no
/// longer passes would be lost, and one that grew saves a narrow path from taking packets in halves.
fn worth_telling(told: LinkMetrics, is: LinkMetrics) -> Tell {
    let rtt = rtt_class(told.rtt_us) != rtt_class(is.rtt_us) && differs(told.rtt_us, is.rtt_us);
    let mtu = is.mtu != told.mtu;
    if rtt || mtu || differs(told.cost.into(), is.cost.into()) {
        Tell::Batched
    } else {
        Tell::Nothing
    }
}

/// Whether the values are at least 20 % of the old one apart.
fn differs(old: u64, new: u64) -> bool {
    old != new && u128::from(old.abs_diff(new)) * 5 >= u128::from(old)
}

#[cfg(test)]
mod tests;

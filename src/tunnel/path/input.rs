//! What is told to path control.

use std::time::{Duration, Instant};

use super::probe::Probe;
use crate::identity::ShortId;

/// What a session's packets tell at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    /// Round trip as the connection measured it, perhaps along another path.
    pub(crate) rtt: Duration,
    /// Bytes sent and neither acknowledged nor lost.
    pub(crate) in_flight: u64,
    /// When packets last left; `None`: never.
    pub(crate) sent: Option<Instant>,
    /// When packets last arrived, along any path.
    pub(crate) arrived: Option<Instant>,
    /// When packets last arrived along the path that ours take; before the first time the beginning.
    pub(crate) proved: Instant,
    /// When the first packet left that must be answered and is not.
    pub(crate) unanswered: Option<Instant>,
}

impl Traffic {
    /// Nothing has left or arrived since `start`.
    pub(crate) fn idle(start: Instant) -> Self {
        Self {
            rtt: Duration::ZERO,
            in_flight: 0,
            sent: None,
            arrived: None,
            proved: start,
            unanswered: None,
        }
    }

    /// When packets last came or went.
    pub(crate) fn active_at(&self) -> Option<Instant> {
        self.sent.max(self.arrived)
    }
}

/// What an opened session's probes lead to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The probe of this sequence was answered.
    Reply(u64),
    /// The exit doubts the path that it answers along.
    PeerDoubts,
}

/// A probe that an accepted session was sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) probe: Probe,
    /// The way it came, backwards: each hop, the ingress last.
    pub(crate) back: Vec<ShortId>,
}

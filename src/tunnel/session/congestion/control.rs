//! What a sender of the tests goes by, and how long its packets are.

use std::time::{Duration, Instant};

use super::bbr::Bbr;
use super::cubic::Cubic;

pub(super) const PACKET: u64 = 1_250;

pub(super) enum Control {
    Bbr(Box<Bbr>),
    /// RFC 9438 with a slow start until the first loss.
    Cubic {
        cubic: Cubic,
        window: f64,
        slow_start: bool,
        /// The least round trip, of one that leaves slow start when the queue begins to grow
        /// (HyStart, as Linux has it).
        least: Option<Duration>,
    },
}

impl Control {
    pub(super) fn bbr(now: Instant) -> Self {
        Self::Bbr(Box::new(Bbr::new(now, PACKET)))
    }

    pub(super) fn cubic(now: Instant) -> Self {
        Self::Cubic {
            cubic: Cubic::new(now, 12_500.0, PACKET),
            window: 12_500.0,
            slow_start: true,
            least: None,
        }
    }

    /// A connection of Linux.
    pub(super) fn tcp(now: Instant) -> Self {
        Self::Cubic {
            cubic: Cubic::new(now, 12_500.0, PACKET),
            window: 12_500.0,
            slow_start: true,
            least: Some(Duration::MAX),
        }
    }

    pub(super) fn window(&self) -> u64 {
        match self {
            Self::Bbr(bbr) => bbr.window(),
            Self::Cubic {
                window,
                slow_start: true,
                ..
            } => *window as u64,
            Self::Cubic { cubic, .. } => cubic.window() as u64,
        }
    }
}

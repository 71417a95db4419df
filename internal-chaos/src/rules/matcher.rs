//! Which packets a rule is about.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::packet::{Direction, Plane, Ways};
use crate::units::Probability;

/// Which packets a rule is about: those that meet every condition. The default matches all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matcher {
    pub direction: Ways,
    /// Smallest UDP payload, bytes.
    pub at_least: usize,
    /// Largest UDP payload, bytes.
    pub at_most: usize,
    /// Packets of this plane only. An empty packet has none.
    pub plane: Option<Plane>,
    /// Which of the packets that meet all of the above.
    pub nth: Option<Nth>,
    /// The share of what is left, at random.
    pub probability: Probability,
}

/// Which packets of a sequence, counted from 1 since the rule was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nth {
    /// Only this one.
    Only(NonZeroU64),
    /// Every so many: 3 means the third, the sixth, …
    Every(NonZeroU64),
    /// All up to this one.
    First(NonZeroU64),
    /// All from this one on.
    From(NonZeroU64),
}

impl Matcher {
    /// All packets.
    pub const ALL: Self = Self {
        direction: Ways::Both,
        at_least: 0,
        at_most: usize::MAX,
        plane: None,
        nth: None,
        probability: Probability::ALWAYS,
    };

    /// All packets of one plane.
    pub const fn plane(plane: Plane) -> Self {
        Self {
            plane: Some(plane),
            ..Self::ALL
        }
    }

    /// A share of all packets, at random.
    pub const fn share(probability: Probability) -> Self {
        Self {
            probability,
            ..Self::ALL
        }
    }

    /// Whether the packet itself is one of those; counting and chance come later.
    pub(super) fn fits(&self, direction: Direction, payload: &[u8]) -> bool {
        self.direction.covers(direction)
            && (self.at_least..=self.at_most).contains(&payload.len())
            && self
                .plane
                .is_none_or(|plane| Plane::of(payload) == Some(plane))
    }
}

impl Default for Matcher {
    fn default() -> Self {
        Self::ALL
    }
}

impl Nth {
    pub(super) fn includes(self, number: u64) -> bool {
        match self {
            Self::Only(only) => number == only.get(),
            Self::Every(step) => number.is_multiple_of(step.get()),
            Self::First(last) => number <= last.get(),
            Self::From(first) => number >= first.get(),
        }
    }
}

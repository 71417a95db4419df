//! Whether either end of an accepted session doubts its path.
//!
//! ```text
//!                    the ingress doubts, and is heeded   ┌────────────┐
//!           ┌──────────────────────────────────────────► │ PeerDoubts │
//!           │                                            └────────────┘
//!      ┌─────────┐        a reason to doubt it           ┌────────────┐
//!      │ Trusted │ ────────────────────────────────────► │   Doubts   │
//!      └─────────┘                                       └────────────┘
//!           ▲                                                  │ the ingress doubts, too
//!           │        the ingress trusts the path, or           ▼
//!           │        doubted for longer than it is heeded   ┌────────────┐
//!           └────── from each of them ───────────────────── │   Agreed   │
//!                                                           └────────────┘
//! ```
//!
//! In `Doubts` and `Agreed` the ingress is told; in `Doubts` what it said before it can have heard that
//! is no answer.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Trusted,
    /// The ingress doubts the path.
    PeerDoubts {
        since: Instant,
    },
    /// This end does, and the ingress has not said that it does.
    Doubts {
        since: Instant,
    },
    /// Both do, this end first.
    Agreed {
        since: Instant,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The path may be dead.
    Doubt,
    /// The ingress says that it is doubted; whether that is heeded by itself.
    PeerDoubts { heeded: bool },
    /// The ingress says that it is sound. It can have heard of a doubt that is as old as this.
    PeerTrusts { crossing: Duration },
    /// The ingress had us mirror for as long as it is heeded.
    Overdrawn,
}

impl State {
    /// Since when the path is doubted; `None`: it is trusted.
    pub(super) fn doubted(self) -> Option<Instant> {
        match self {
            Self::Trusted => None,
            Self::PeerDoubts { since } | Self::Doubts { since } | Self::Agreed { since } => {
                Some(since)
            }
        }
    }

    /// Since when this end doubts by itself.
    pub(super) fn own(self) -> Option<Instant> {
        match self {
            Self::Trusted | Self::PeerDoubts { .. } => None,
            Self::Doubts { since } | Self::Agreed { since } => Some(since),
        }
    }

    /// What `input` makes of it.
    pub(super) fn after(self, now: Instant, input: Input) -> Self {
        match (self, input) {
            (Self::Trusted, Input::Doubt) => Self::Doubts { since: now },
            (Self::Trusted, Input::PeerDoubts { heeded: true }) => Self::PeerDoubts { since: now },
            (
                Self::Trusted,
                Input::PeerDoubts { heeded: false } | Input::PeerTrusts { .. } | Input::Overdrawn,
            ) => Self::Trusted,
            (Self::Doubts { since }, Input::PeerDoubts { .. }) => Self::Agreed { since },
            (Self::Doubts { since }, Input::PeerTrusts { crossing }) if now < since + crossing => {
                Self::Doubts { since }
            }
            (
                Self::PeerDoubts { .. } | Self::Doubts { .. } | Self::Agreed { .. },
                Input::PeerTrusts { .. } | Input::Overdrawn,
            ) => Self::Trusted,
            (doubts @ Self::Doubts { .. }, Input::Doubt) => doubts,
            (
                doubted @ (Self::PeerDoubts { .. } | Self::Agreed { .. }),
                Input::Doubt | Input::PeerDoubts { .. },
            ) => doubted,
        }
    }
}

#[cfg(test)]
mod tests;

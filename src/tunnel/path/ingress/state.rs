//! Whether the path of an opened session is trusted.
//!
//! ```text
//!   ┌────────┐  moved   ┌─────────┐   a reason to doubt it     ┌─────────┐
//!   │ Opened │ ───────► │ Trusted │ ─────────────────────────► │ Doubted │
//!   └────────┘          └─────────┘ ◄───────────────────────── └─────────┘
//!                         │     ▲   cleared: answered since,        │
//!               no path   ▼     │   and its link is not suspect;    │
//!               left    ┌──────┐│   or moved; or failed: the        │
//!                       │ Lost ││   backup answers and it does      │
//!                       └──────┘│   not, for 600 ms                 │
//!                          │    │                                   │
//!                          └────┘ moved                             │
//!                          ▲                no path left            │
//!                          └────────────────────────────────────────┘
//! ```
//!
//! (600 ms at the default heartbeat.)
//!
//! While a path is doubted its packets are mirrored on the backup, so the verdict may take its time.
//! The first reason names the doubt: later ones change nothing, because a path error that hastened the
//! verdict of a running doubt would let anybody in the mesh do so.
//! A path that failed is left if there is another; if there is none by then, it is trusted until there
//! is a new reason.

use std::time::{Duration, Instant};

use crate::identity::AgentId;

/// How long a path stays unanswered while its backup answers before it counts as failed, if the doubt
/// began with a transit that says that it cannot forward: two full-size probes confirm it on a short
/// path, the first and, if a short one was answered, the third.
pub(super) const VERDICT_TOLD: Duration = Duration::from_millis(60);

/// The same on long paths: two round trips and this.
const VERDICT_SLACK: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No path has led to the exit since the session opened.
    Opened { since: Instant },
    /// None does any more.
    Lost { since: Instant },
    /// The path is trusted.
    Trusted,
    /// It may be dead.
    Doubted {
        since: Instant,
        reason: Reason,
        backup_answers: bool,
    },
}

/// Why a path is doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The link to its first hop is suspect.
    LinkSuspect,
    /// Packets that must be answered are not.
    Unanswered,
    /// The other end doubts it.
    PeerDoubts,
    /// A probe was not answered in time.
    ProbeMissed,
    /// The first of these says that it cannot forward to the second.
    PathError(AgentId, AgentId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The session took a path, or another one.
    Moved,
    /// No path is left.
    Lost,
    /// The path may be dead.
    Doubt(Reason),
    /// The link to the first hop is not suspect.
    LinkHeard,
    /// A probe of the active path, sent then and as long as the session's packets, was answered, and
    /// its link is not suspect. A shorter one proves only that there is a way, and not that packets
    /// find it.
    PathAnswered(Instant),
    /// A probe of the backup, sent then and as long as the session's packets, was answered.
    BackupAnswered(Instant),
    /// Time passed. A verdict takes so long if nobody says why the path is dead, and no answer comes
    /// sooner than a round trip.
    Tick { verdict: Duration, rtt: Duration },
}

/// What an input changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Began(Reason),
    Cleared,
    /// The path was unanswered for long while its backup answered; why that was looked at.
    Failed(Reason),
}

impl Reason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::LinkSuspect => "link suspect",
            Self::Unanswered => "packets unanswered",
            Self::PeerDoubts => "the other end doubts it",
            Self::ProbeMissed => "probe missed",
            Self::PathError(..) => "path error",
        }
    }

    /// How long a path stays unanswered while its backup answers before it counts as failed;
    /// `usual` if nobody says why.
    pub(super) fn verdict(self, usual: Duration) -> Duration {
        match self {
            Self::PathError(..) => VERDICT_TOLD,
            Self::LinkSuspect | Self::Unanswered | Self::PeerDoubts | Self::ProbeMissed => usual,
        }
    }
}

impl State {
    /// Since when the path is doubted; `None`: it is not.
    pub(super) fn doubted(self) -> Option<Instant> {
        match self {
            Self::Doubted { since, .. } => Some(since),
            Self::Opened { .. } | Self::Lost { .. } | Self::Trusted => None,
        }
    }

    /// Since when there is no path; `None`: there is one.
    pub(super) fn pathless(self) -> Option<Instant> {
        match self {
            Self::Opened { since } | Self::Lost { since } => Some(since),
            Self::Trusted | Self::Doubted { .. } => None,
        }
    }

    fn doubt(since: Instant, reason: Reason, backup_answers: bool) -> Self {
        Self::Doubted {
            since,
            reason,
            backup_answers,
        }
    }

    /// What `input` makes of it.
    pub(super) fn after(self, now: Instant, input: Input) -> (Self, Option<Change>) {
        match (self, input) {
            (
                Self::Opened { .. } | Self::Lost { .. } | Self::Trusted | Self::Doubted { .. },
                Input::Moved,
            ) => (Self::Trusted, None),
            (Self::Trusted | Self::Doubted { .. }, Input::Lost) => {
                (Self::Lost { since: now }, None)
            }
            (
                pathless @ (Self::Opened { .. } | Self::Lost { .. }),
                Input::Lost
                | Input::Doubt(_)
                | Input::LinkHeard
                | Input::PathAnswered(_)
                | Input::BackupAnswered(_)
                | Input::Tick { .. },
            ) => (pathless, None),

            (Self::Trusted, Input::Doubt(reason)) => {
                let doubted = Self::doubt(now, reason, false);
                (doubted, Some(Change::Began(reason)))
            }
            (
                Self::Trusted,
                Input::LinkHeard
                | Input::PathAnswered(_)
                | Input::BackupAnswered(_)
                | Input::Tick { .. },
            ) => (Self::Trusted, None),

            (
                Self::Doubted {
                    reason: Reason::LinkSuspect,
                    ..
                },
                Input::LinkHeard,
            ) => (Self::Trusted, Some(Change::Cleared)),
            (Self::Doubted { since, .. }, Input::PathAnswered(sent)) if sent >= since => {
                (Self::Trusted, Some(Change::Cleared))
            }
            (Self::Doubted { since, reason, .. }, Input::BackupAnswered(sent)) if sent >= since => {
                (Self::doubt(since, reason, true), None)
            }
            (
                Self::Doubted {
                    since,
                    reason,
                    backup_answers: true,
                },
                Input::Tick { verdict, rtt },
            ) if now >= since + reason.verdict(verdict).max(rtt * 2 + VERDICT_SLACK) => {
                (Self::Trusted, Some(Change::Failed(reason)))
            }
            (
                doubted @ Self::Doubted { .. },
                Input::Doubt(_)
                | Input::LinkHeard
                | Input::PathAnswered(_)
                | Input::BackupAnswered(_)
                | Input::Tick { .. },
            ) => (doubted, None),
        }
    }
}

#[cfg(test)]
mod tests;

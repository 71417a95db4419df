//! Whether the path of a session is trusted, seen from the session's opening end.
//!
//! ```text
//!             link suspect, unanswered,
//!             peer doubts, probe missed,
//!   ┌───────┐ path error                 ┌────────┐  backup answers, path does not, ┌────────┐
//!   │ Trust │ ─────────────────────────► │ Doubts │ ──── for 600 ms ──────────────► │ Failed │
//!   └───────┘ ◄───────────────────────── └────────┘                                 └────────┘
//!       ▲      path answered since, and       │                                         │
//!       │      its link is heard; or moved    │                                         │
//!       └─────────────────────────────────────┴────────── moved ────────────────────────┘
//! ```
//!
//! (600 ms at the default heartbeat.)
//!
//! While a path is doubted its packets are mirrored on the backup, so the verdict may take its time.
//! The first sign names the doubt: later ones change nothing, because a path error that hastened the
//! verdict of a running doubt would let anybody in the mesh do so.
//! `Failed` is left by moving alone: nothing that a dead path says late brings it back.

use std::time::{Duration, Instant};

use super::pace::pace;

/// How long a path stays unanswered while its backup answers before it counts as failed, if the doubt
/// began with a transit that says that it cannot forward: two full-size probes confirm it on a short
/// path, the first and, if a short one was answered, the third.
const VERDICT_TOLD: Duration = Duration::from_millis(60);

/// The same on long paths: two round trips and this.
const VERDICT_SLACK: Duration = Duration::from_millis(50);

/// One session's trust in its active path.
#[derive(Debug)]
pub(crate) struct Doubt {
    state: State,
    /// The link to the first hop is silent.
    link_suspect: bool,
    /// How long a path stays unanswered while its backup answers before it counts as failed.
    verdict: Duration,
}

/// Why a path is doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The link to its first hop fell silent.
    LinkSuspect,
    /// Packets that must be answered are not.
    Unanswered,
    /// The other end doubts it.
    PeerDoubts,
    /// A probe was not answered in time.
    ProbeMissed,
    /// A transit says that it cannot forward.
    PathError,
}

impl Reason {
    /// How long a path stays unanswered while its backup answers before it counts as failed;
    /// `usual` if nobody says why.
    fn verdict(self, usual: Duration) -> Duration {
        match self {
            Self::PathError => VERDICT_TOLD,
            Self::LinkSuspect | Self::Unanswered | Self::PeerDoubts | Self::ProbeMissed => usual,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trust,
    Doubts {
        since: Instant,
        reason: Reason,
        backup_answers: bool,
    },
    Failed {
        since: Instant,
        reason: Reason,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// A sign that the path may be dead.
    Sign(Reason),
    /// The link to the first hop was heard again.
    LinkHeard,
    /// A probe of the active path, sent then and as long as the session's packets, was answered.
    PathAnswered(Instant),
    /// A probe of the backup, sent then and as long as the session's packets, was answered.
    BackupAnswered(Instant),
    /// The session took another path.
    Moved,
    /// Time passed; no answer can come sooner than this.
    Tick(Duration),
}

impl Doubt {
    /// A trusted path, that fails after `verdict` without an answer while its backup answers.
    pub(crate) fn new(verdict: Duration) -> Self {
        Self {
            state: State::Trust,
            link_suspect: false,
            verdict,
        }
    }

    /// Since when the path is doubted; `None`: it is trusted.
    pub(crate) fn since(&self) -> Option<Instant> {
        match self.state {
            State::Trust => None,
            State::Doubts { since, .. } | State::Failed { since, .. } => Some(since),
        }
    }

    /// The path was unanswered for long while its backup answered; why that was looked at.
    pub(crate) fn failed(&self) -> Option<Reason> {
        match self.state {
            State::Trust | State::Doubts { .. } => None,
            State::Failed { reason, .. } => Some(reason),
        }
    }

    /// How far apart probes and kicks are now; `None`: as in peace.
    pub(crate) fn pace(&self, now: Instant) -> Option<Duration> {
        Some(pace(now.saturating_duration_since(self.since()?)))
    }

    /// Whether the link to the first hop is silent.
    pub(crate) fn handle_link(&mut self, now: Instant, suspect: bool) {
        if suspect != self.link_suspect {
            self.link_suspect = suspect;
            let input = match suspect {
                true => Input::Sign(Reason::LinkSuspect),
                false => Input::LinkHeard,
            };
            self.step(now, input);
        }
    }

    /// The path may be dead.
    pub(crate) fn handle_sign(&mut self, now: Instant, reason: Reason) {
        self.step(now, Input::Sign(reason));
    }

    /// A probe of the active path, as long as the session's packets, was answered. A shorter one
    /// proves only that there is a way, and not that packets find it.
    pub(crate) fn handle_path_answered(&mut self, now: Instant, sent: Instant) {
        self.step(now, Input::PathAnswered(sent));
    }

    /// A probe of the backup, as long as the session's packets, was answered.
    pub(crate) fn handle_backup_answered(&mut self, now: Instant, sent: Instant) {
        self.step(now, Input::BackupAnswered(sent));
    }

    /// The session took another path, whose link is heard.
    pub(crate) fn handle_moved(&mut self, now: Instant) {
        self.link_suspect = false;
        self.step(now, Input::Moved);
    }

    /// Time passed; due at every [`pace`](Self::pace). On a path of that round trip no answer can
    /// come sooner.
    pub(crate) fn handle_tick(&mut self, now: Instant, rtt: Duration) {
        self.step(now, Input::Tick(rtt * 2 + VERDICT_SLACK));
    }

    fn step(&mut self, now: Instant, input: Input) {
        self.state = match (self.state, input) {
            (State::Trust, Input::Sign(reason)) => State::Doubts {
                since: now,
                reason,
                backup_answers: false,
            },
            (
                State::Trust,
                Input::LinkHeard
                | Input::PathAnswered(_)
                | Input::BackupAnswered(_)
                | Input::Moved
                | Input::Tick(_),
            ) => State::Trust,

            (
                State::Doubts {
                    reason: Reason::LinkSuspect,
                    ..
                },
                Input::LinkHeard,
            ) => State::Trust,
            (State::Doubts { since, .. }, Input::PathAnswered(sent))
                if sent >= since && !self.link_suspect =>
            {
                State::Trust
            }
            (State::Doubts { since, reason, .. }, Input::BackupAnswered(sent)) if sent >= since => {
                State::Doubts {
                    since,
                    reason,
                    backup_answers: true,
                }
            }
            (
                State::Doubts {
                    since,
                    reason,
                    backup_answers: true,
                },
                Input::Tick(answer),
            ) if now >= since + reason.verdict(self.verdict).max(answer) => {
                State::Failed { since, reason }
            }
            (State::Doubts { .. } | State::Failed { .. }, Input::Moved) => State::Trust,
            (
                doubts @ State::Doubts { .. },
                Input::Sign(_)
                | Input::LinkHeard
                | Input::PathAnswered(_)
                | Input::BackupAnswered(_)
                | Input::Tick(_),
            ) => doubts,
            (
                failed @ State::Failed { .. },
                Input::Sign(_)
                | Input::LinkHeard
                | Input::PathAnswered(_)
                | Input::BackupAnswered(_)
                | Input::Tick(_),
            ) => failed,
        };
    }
}

#[cfg(test)]
mod tests;

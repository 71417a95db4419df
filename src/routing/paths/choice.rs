//! Which of the paths to its exit an end-to-end session uses.
//!
//! ```text
//!              path found                 better by 20 %
//!   ┌──────┐ ─────────────► ┌─────────┐ ────────────────► ┌─────────┐
//!   │ Lost │                │ Settled │ ◄──────────────── │ Tempted │
//!   └──────┘ ◄───────────── └─────────┘  no longer, or    └─────────┘
//!              active dies,              taken after 10 s,
//!              no way left               or the active one
//!                                        is doubted
//! ```
//!
//! In every state but Lost an active path that dies is left at once: for the backup if its link or
//! the path itself failed, for the best path if the graph no longer has it.

#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use crate::identity::AgentId;
use crate::wire::packet::header_len;

use super::path::{Path, Standing};
use super::path_table::PathTable;
use super::switch::{SwitchCause, Switched};

/// How long a better path must have been better before an existing session moves to it. Longer than
/// a flapping link takes to be damped, short against the life of a session.
pub const TAKEOVER_AFTER: Duration = Duration::from_secs(10);

/// A path is better by a fifth if its cost is at most 4/5 of the active one's. Who fled to a narrow path
/// is tempted by a wide one as by any better one: the way back at once may lead where it fled from, until
/// the table has heard of the failure.
const BETTER: (u64, u64) = (4, 5);

/// Round trips below this are alike to those who choose between whole packets and halves, microseconds.
const NEARBY_US: u64 = 10_000;

/// A session's paths. Feed it each new [`PathTable`]. A path that failed end to end is left here and
/// shunned by the tables that follow, see [`Shunned`](crate::routing::Shunned).
#[derive(Debug)]
pub struct PathChoice {
    exit: AgentId,
    /// Size of the session's packets, bytes: narrower paths take them in halves.
    packet: u16,
    state: State,
    /// The way that shares least with the active one, as of the last table.
    backup: Option<Path>,
    events: VecDeque<Switched>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// No path.
    Lost,
    On {
        active: Path,
        mood: Mood,
    },
}

/// How a session stands to its active path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mood {
    Settled,
    /// A better path proves itself.
    Tempted {
        better: Path,
        since: Instant,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Input {
    /// A new table: there was no active path or it is gone; this one is to be preferred now.
    Gone(Option<Path>),
    /// A new table: the active path leads over an agent that is leaving, this one does not.
    Draining(Path),
    /// A new table: the active path with today's figures, and one that is better: by a fifth, or
    /// because it alone takes the session's packets whole.
    Alive { active: Path, better: Option<Path> },
    /// The link to this neighbour is down.
    LinkDown(AgentId),
    /// The active path failed beyond the first link.
    PathFailed(SwitchCause),
    /// The active path is doubted: nothing tempts away from it now.
    Doubt,
    /// Time passed.
    Tick,
}

impl PathChoice {
    /// The paths of a session whose packets have at most `packet` bytes.
    pub fn new(exit: AgentId, packet: u16) -> Self {
        Self {
            exit,
            packet,
            state: State::Lost,
            backup: None,
            events: VecDeque::new(),
        }
    }

    /// Where the paths lead.
    pub fn exit(&self) -> AgentId {
        self.exit
    }

    /// The path in use.
    pub fn active(&self) -> Option<&Path> {
        match &self.state {
            State::Lost => None,
            State::On { active, .. } => Some(active),
        }
    }

    /// The way to flee to.
    pub fn backup(&self) -> Option<&Path> {
        self.backup.as_ref()
    }

    /// A new table of paths.
    pub fn handle_paths(&mut self, now: Instant, table: &PathTable) {
        let input = self.judge(table);
        self.step(now, input);
        let best = table.best(self.exit);
        let backup = self.active().and_then(|active| match best {
            Some(best) if best.hops == active.hops => table.alternate(self.exit),
            Some(_) | None => table.disjoint_from(active),
        });
        self.backup = backup;
    }

    /// The link to `neighbor` is down.
    pub fn handle_link_down(&mut self, now: Instant, neighbor: AgentId) {
        self.backup.take_if(|path| path.first_hop() == neighbor);
        self.step(now, Input::LinkDown(neighbor));
    }

    /// The active path is doubted, which is said at least as often as there are tables.
    pub fn handle_doubt(&mut self, now: Instant) {
        self.step(now, Input::Doubt);
    }

    /// A transit refused the active path. Without another path the session stays where it is.
    pub fn handle_path_error(&mut self, now: Instant) {
        self.step(now, Input::PathFailed(SwitchCause::PathError));
    }

    /// The active path's probes went unanswered while the backup's were answered. Without another
    /// path the session stays where it is.
    pub fn handle_unanswered(&mut self, now: Instant) {
        self.step(now, Input::PathFailed(SwitchCause::Unanswered));
    }

    /// Time passed; due at [`poll_timeout`](Self::poll_timeout).
    pub fn handle_tick(&mut self, now: Instant) {
        self.step(now, Input::Tick);
    }

    /// When to tick.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::On {
                mood: Mood::Tempted { since, .. },
                ..
            } => Some(*since + TAKEOVER_AFTER),
            State::Lost
            | State::On {
                mood: Mood::Settled,
                ..
            } => None,
        }
    }

    /// The next move to report.
    pub fn poll_event(&mut self) -> Option<Switched> {
        self.events.pop_front()
    }

    fn step(&mut self, now: Instant, input: Input) {
        let state = mem::replace(&mut self.state, State::Lost);
        self.state = match (state, input) {
            (State::Lost, Input::Gone(best)) => self.go(None, best, SwitchCause::Found),
            (
                State::Lost,
                Input::Draining(_)
                | Input::Alive { .. }
                | Input::LinkDown(_)
                | Input::PathFailed(_)
                | Input::Doubt
                | Input::Tick,
            ) => State::Lost,

            (State::On { active, .. }, Input::Gone(best)) => {
                self.go(Some(active), best, SwitchCause::PathGone)
            }
            (State::On { active, .. }, Input::Draining(to)) => {
                self.go(Some(active), Some(to), SwitchCause::Draining)
            }
            (State::On { mood, .. }, Input::Alive { active, better }) => {
                self.consider(now, active, mood.offered(now, better))
            }
            (State::On { active, .. }, Input::LinkDown(neighbor))
                if active.first_hop() == neighbor =>
            {
                let backup = self.backup.take();
                self.go(Some(active), backup, SwitchCause::LinkDown)
            }
            (State::On { active, mood }, Input::LinkDown(neighbor)) => State::On {
                active,
                mood: mood.without(neighbor),
            },
            (State::On { active, mood }, Input::PathFailed(cause)) => match self.backup.take() {
                Some(backup) => self.go(Some(active), Some(backup), cause),
                None => State::On { active, mood },
            },
            (State::On { active, .. }, Input::Doubt) => State::On {
                active,
                mood: Mood::Settled,
            },
            (State::On { active, mood }, Input::Tick) => self.consider(now, active, mood),
        };
    }

    /// Moves, if the temptation has lasted.
    fn consider(&mut self, now: Instant, active: Path, mood: Mood) -> State {
        match mood {
            Mood::Tempted { better, since } if now >= since + TAKEOVER_AFTER => {
                self.go(Some(active), Some(better), SwitchCause::Better)
            }
            mood @ (Mood::Settled | Mood::Tempted { .. }) => State::On { active, mood },
        }
    }

    fn go(&mut self, from: Option<Path>, to: Option<Path>, cause: SwitchCause) -> State {
        if from.is_some() || to.is_some() {
            let to = to.clone();
            self.events.push_back(Switched { from, to, cause });
        }
        match to {
            Some(active) => State::On {
                active,
                mood: Mood::Settled,
            },
            None => State::Lost,
        }
    }

    /// What a table means for the active path.
    fn judge(&self, table: &PathTable) -> Input {
        let best = self.preferred(table);
        let Some(known) = self.active() else {
            return Input::Gone(best.map(|(best, _)| best));
        };
        let wider = best.as_ref().is_some_and(|(best, _)| self.fits(best));
        let shrank = |today: &Path| wider && self.fits(known) && !self.fits(today);
        let today = table.assess(known);
        let Some((active, standing)) = today.filter(|(today, _)| !shrank(today)) else {
            return Input::Gone(best.map(|(best, _)| best));
        };
        match best {
            Some((best, sound)) if standing == Standing::Draining && sound < standing => {
                Input::Draining(best)
            }
            Some((best, best_standing)) if best_standing <= standing => {
                let (better, of) = BETTER;
                let cheaper = u64::from(best.cost) * of <= u64::from(active.cost) * better;
                let tempting = match (self.fits(&best), self.fits(&active)) {
                    (true, false) => is_worth_it(&best, &active),
                    (false, true) => cheaper && !is_worth_it(&active, &best),
                    (true, true) | (false, false) => cheaper,
                };
                Input::Alive {
                    active,
                    better: tempting.then_some(best),
                }
            }
            Some(_) | None => Input::Alive {
                active,
                better: None,
            },
        }
    }

    /// The best path, or the alternate if that alone takes whole packets, is as sound and worth it.
    fn preferred(&self, table: &PathTable) -> Option<(Path, Standing)> {
        let best = table.assess(&table.best(self.exit)?)?;
        if self.fits(&best.0) {
            return Some(best);
        }
        let alternate = table.alternate(self.exit);
        let alternate = alternate.and_then(|path| table.assess(&path));
        let wider = alternate.filter(|(path, standing)| {
            self.fits(path) && *standing <= best.1 && is_worth_it(path, &best.0)
        });
        Some(wider.unwrap_or(best))
    }

    /// Whether the session's packets pass whole: their size stays as it was when it opened.
    fn fits(&self, path: &Path) -> bool {
        let needed = usize::from(self.packet) + header_len(path.hops.len());
        path.mtu == 0 || usize::from(path.mtu) >= needed
    }
}

/// Whether whole packets are worth the way: on a narrow path each costs two.
fn is_worth_it(wide: &Path, narrow: &Path) -> bool {
    let nearby = narrow.rtt_us.max(NEARBY_US);
    u64::from(wide.cost) <= 2 * u64::from(narrow.cost) && wide.rtt_us <= 2 * nearby
}

impl Mood {
    /// The mood after a table named `better`.
    fn offered(self, now: Instant, better: Option<Path>) -> Self {
        match (self, better) {
            (Self::Settled | Self::Tempted { .. }, None) => Self::Settled,
            (
                Self::Tempted {
                    better: known,
                    since,
                },
                Some(better),
            ) if known.hops == better.hops => Self::Tempted { better, since },
            (Self::Settled | Self::Tempted { .. }, Some(better)) => {
                Self::Tempted { better, since: now }
            }
        }
    }

    /// The mood after the link to `neighbor`, which is not the active one, went down.
    fn without(self, neighbor: AgentId) -> Self {
        match self {
            Self::Tempted { better, .. } if better.first_hop() == neighbor => Self::Settled,
            mood @ (Self::Settled | Self::Tempted { .. }) => mood,
        }
    }
}

#[cfg(test)]
mod tests;

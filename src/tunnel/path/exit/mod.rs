//! The path of one accepted session: answers go along the path that the ingress uses, and along
//! another one too while either end doubts that path.
//!
//! The ingress decides which path is used; only where our own link to it is gone do we leave it by
//! ourselves.

mod state;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::state::{Input, State};
use super::SMALLEST;
use super::deadlines::{Credit, Overdue, Timing, pace, round_trip};
use super::input::{Asked, Traffic};
use super::output::{News, Output, Way};
use super::probe::Flags;
use super::recorder::{Move, Recorder};
use crate::identity::{AgentId, ShortId};
use crate::record::Side;
use crate::routing::{Mesh, Path, SwitchCause};

/// A word of doubt and the probe that answers it take a round trip of the path and this: the word goes
/// along the backup, whose round trip is longer at most where the mesh says so. An ingress that does
/// not heed it says so with a later probe.
const CROSSING: Duration = Duration::from_millis(250);

/// Wakes the task though nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// A way back and what the mesh tells of it.
#[derive(Debug)]
struct Back {
    hops: Vec<ShortId>,
    rtt: Duration,
    /// UDP payloads that pass it, bytes; 0: any.
    width: u16,
}

/// The path control of an accepted session. Feed it [`Traffic`] first, then what happened, then a tick;
/// then do its outputs.
pub(crate) struct ExitPath {
    timing: Timing,
    view: Arc<Mesh>,
    traffic: Traffic,
    state: State,
    /// The way back that is in use, and the other one that the ingress told.
    active: Back,
    backup: Option<Back>,
    /// The ingress found the active one too narrow for whole packets.
    narrow: bool,
    /// Highest sequence of an active and of a backup probe: older ones are late or replayed.
    seen_active: u64,
    seen_backup: u64,
    /// What the ingress may make us do.
    credit: Credit,
    unanswered: Overdue,
    recorder: Recorder,
    /// Of our own words.
    sequence: u64,
    next_word: Instant,
    outputs: VecDeque<Output>,
}

impl ExitPath {
    /// A session whose first active probe is `first`.
    pub(crate) fn new(
        now: Instant,
        ingress: AgentId,
        first: Asked,
        timing: Timing,
        view: Arc<Mesh>,
    ) -> Self {
        Self {
            timing,
            traffic: Traffic::idle(now),
            state: State::Trusted,
            active: Back::assess(first.back, &view),
            backup: None,
            narrow: first.probe.flags.narrow,
            seen_active: first.probe.sequence,
            seen_backup: 0,
            credit: Credit::new(now),
            unanswered: Overdue::default(),
            recorder: Recorder::new(Side::Exit, ingress),
            sequence: 0,
            next_word: now,
            // The handshake was answered along the shorter of two paths, and measured that.
            outputs: VecDeque::from([Output::Moved]),
            view,
        }
    }

    /// What packets tell now.
    pub(crate) fn handle_traffic(&mut self, traffic: Traffic) {
        self.traffic = traffic;
    }

    /// The ingress sent a probe.
    pub(crate) fn handle_asked(&mut self, now: Instant, asked: Asked) {
        let Asked { probe, back } = asked;
        let (active, doubt) = (probe.flags.active, probe.flags.doubt);
        // The word of doubt comes along either path, whichever lives; paths differ in length.
        let is_latest = probe.sequence > self.seen_active.max(self.seen_backup);
        let seen = match active {
            true => &mut self.seen_active,
            false => &mut self.seen_backup,
        };
        if probe.sequence <= *seen {
            return;
        }
        *seen = probe.sequence;
        let moved = active && back != self.active.hops;
        if active {
            self.narrow = probe.flags.narrow;
        }
        if moved {
            self.take(now, back, SwitchCause::PeerMoved);
        } else if !active && self.backup.as_ref().is_none_or(|known| known.hops != back) {
            self.backup = Some(Back::assess(back, &self.view));
        }
        if !is_latest {
            return;
        }
        if doubt {
            // It makes us mirror.
            let heeded = self.state == State::Trusted && self.credit.begin(now);
            self.step(now, Input::PeerDoubts { heeded });
        } else if active {
            // The kick of a move needs its room: the next probe takes it back.
            self.trust(now, !moved);
        }
    }

    /// The mesh changed. `has_link` tells whether there is a live link with a neighbour.
    pub(crate) fn handle_view(
        &mut self,
        now: Instant,
        view: Arc<Mesh>,
        has_link: impl Fn(ShortId) -> bool,
    ) {
        let was_suspect = self.is_link_suspect();
        self.view = view;
        self.measure();
        if !has_link(self.active.hops[0])
            && let Some(backup) = self.other_way()
            && has_link(backup.hops[0])
        {
            let backup = backup.hops.clone();
            self.take(now, backup, SwitchCause::LinkDown);
        }
        if self.is_link_suspect() && !was_suspect {
            let heard = self.view.last_heard(self.active.hops[0]);
            self.recorder
                .handle_doubt(now, heard, &self.traffic, &mut self.outputs);
            self.step(now, Input::Doubt);
        }
    }

    /// Time passed: what is done after every input.
    pub(crate) fn handle_tick(&mut self, now: Instant) {
        self.judge(now);
        self.route();
        self.speak(now);
        self.recorder
            .handle_tick(now, &self.traffic, &mut self.outputs);
    }

    /// What to do next.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to tick without any input.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Instant {
        let due = match self.state {
            State::Trusted => self.unanswered_at().map(|at| self.unanswered.due(at)),
            State::PeerDoubts { .. } | State::Doubts { .. } | State::Agreed { .. } => {
                Some(self.next_word)
            }
        };
        [due, self.recorder.poll_timeout(), self.credit.spent_at()]
            .into_iter()
            .flatten()
            .fold(now + IDLE, Instant::min)
    }

    fn unanswered_at(&self) -> Option<Instant> {
        self.timing.unanswered_at(&self.traffic, self.rtt())
    }

    /// What the active path's round trip may be: what the connection measured may be another path's.
    fn rtt(&self) -> Duration {
        round_trip(self.traffic.rtt, self.active.rtt)
    }

    /// Looks up again how long and wide the ways back are.
    fn measure(&mut self) {
        let backs = [Some(&mut self.active), self.backup.as_mut()];
        for back in backs.into_iter().flatten() {
            *back = Back::assess(std::mem::take(&mut back.hops), &self.view);
        }
    }

    fn is_link_suspect(&self) -> bool {
        self.view.is_suspect(self.active.hops[0])
    }

    /// Answers along `path` from now on. An ingress that moves more often than its credit allows is
    /// followed and no more is done about it.
    fn take(&mut self, now: Instant, path: Vec<ShortId>, cause: SwitchCause) {
        let taken = Back::assess(path, &self.view);
        let left = std::mem::replace(&mut self.active, taken);
        self.forgive();
        self.route();
        self.outputs.push_back(Output::Moved);
        if cause == SwitchCause::PeerMoved && !self.credit.pay_move(now) {
            return;
        }
        let moved = Move {
            cause,
            from: self.view.named(&left.hops),
            to: self.view.named(&self.active.hops),
            rtt: self.rtt(),
        };
        self.recorder
            .handle_move(now, moved, &self.traffic, &mut self.outputs);
        self.outputs.push_back(Output::Kick);
    }

    fn forgive(&mut self) {
        self.traffic.unanswered = None;
        self.outputs.push_back(Output::Forgive);
    }

    fn step(&mut self, now: Instant, input: Input) {
        let before = self.state;
        self.state = before.after(now, input);
        if before == State::Trusted && self.state != State::Trusted {
            let why = match self.state.own() {
                Some(_) => "own sign",
                None => "the other end doubts it",
            };
            self.outputs.push_back(Output::Tell(News::Doubted { why }));
            self.next_word = now;
            self.recorder
                .handle_doubt(now, None, &self.traffic, &mut self.outputs);
        } else if before != State::Trusted && self.state == State::Trusted {
            self.outputs.push_back(Output::Tell(News::Cleared));
            self.recorder.handle_cleared();
            self.forgive();
        }
    }

    /// The ingress says that the path is sound; `settled`: it was in use before.
    fn trust(&mut self, now: Instant, settled: bool) {
        let crossing = self.rtt() + CROSSING.max(self.backup_rtt());
        let before = self.state;
        self.step(now, Input::PeerTrusts { crossing });
        if self.state == State::Trusted {
            self.settle(now, before, settled);
        }
    }

    /// The path is trusted, and was in `before`.
    fn settle(&mut self, now: Instant, before: State, settled: bool) {
        self.credit.end(now);
        if before != State::Trusted && self.other_way().is_none() {
            // A lone path is not kicked while it is doubted, and quinn's next time-out comes as late
            // again as the path was silent. The next probe takes the room back.
            self.outputs.push_back(Output::Kick);
        } else if settled {
            self.outputs.push_back(Output::TakeRoom);
        }
    }

    fn backup_rtt(&self) -> Duration {
        self.backup
            .as_ref()
            .map_or(Duration::ZERO, |backup| backup.rtt)
    }

    fn judge(&mut self, now: Instant) {
        self.credit.handle_rtt(self.rtt());
        // Our own doubt of a path that carries packets ends with the next word of the ingress, which
        // may leave it unsaid.
        let answered = |since| self.traffic.proved >= since;
        if self.state.own().is_some_and(answered) {
            self.credit.spend(now);
        }
        if self.credit.spent_at().is_some_and(|at| now >= at) {
            self.outputs.push_back(Output::Tell(News::Overdrawn));
            let before = self.state;
            self.step(now, Input::Overdrawn);
            self.settle(now, before, true);
        }
        if self.state == State::Trusted
            && let Some(at) = self.unanswered_at()
            && self.unanswered.judge(now, at)
        {
            self.step(now, Input::Doubt);
        }
    }

    /// Answers along the active path, and along the backup too while that one is doubted.
    fn route(&mut self) {
        let mut active = self.active.way();
        if self.narrow {
            active.width = SMALLEST;
        }
        let mirrors = self.state != State::Trusted || self.is_link_suspect();
        let mirror = self.other_way().filter(|_| mirrors).map(Back::way);
        self.outputs.push_back(Output::Route { active, mirror });
    }

    /// The backup, if it differs from the path in use.
    fn other_way(&self) -> Option<&Back> {
        let backup = self.backup.as_ref();
        backup.filter(|backup| backup.hops != self.active.hops)
    }

    /// Kicks while the path is doubted, and tells the ingress if it is this end that doubts.
    fn speak(&mut self, now: Instant) {
        let since = self.state.doubted();
        let Some(since) = since.filter(|_| now >= self.next_word) else {
            return;
        };
        self.next_word = now + pace(now.saturating_duration_since(since));
        let Some(backup) = self.other_way() else {
            return;
        };
        let hops = backup.hops.clone();
        self.outputs.push_back(Output::Kick);
        if self.state.own().is_none() {
            return;
        }
        self.sequence += 1;
        self.outputs.push_back(Output::Probe {
            hops,
            sequence: self.sequence,
            flags: Flags {
                active: false,
                doubt: true,
                signal: true,
                narrow: false,
            },
            // A word proves nothing of the path, so it need not fill it.
            size: 0,
        });
    }
}

impl Back {
    /// That way, as far as the mesh tells of it.
    fn assess(hops: Vec<ShortId>, view: &Mesh) -> Self {
        let path = Path::along(view.named(&hops));
        let assessed = view.path_table().assess(&path);
        let unknown = (Duration::ZERO, SMALLEST);
        let (rtt, width) = assessed.map_or(unknown, |(path, _)| (path.rtt(), path.mtu));
        Self { hops, rtt, width }
    }

    fn way(&self) -> Way {
        Way {
            hops: self.hops.clone(),
            width: self.width,
        }
    }
}

#[cfg(test)]
mod tests;

//! What is done about an opened session's path: it moves, is mirrored, kicked and probed, and all this
//! is told.

use std::time::{Duration, Instant};

use super::super::SMALLEST;
use super::super::output::{News, Output, Way};
use super::super::probing::Turn;
use super::super::recorder::Move;
use super::IngressPath;
use super::state::{Input, Reason, State};
use crate::routing::{Avoid, Path, Switched};

impl IngressPath {
    /// Looks for reasons to doubt the path, and at the verdict.
    pub(super) fn judge(&mut self, now: Instant) {
        let rtt = self.rtt();
        if self.state == State::Trusted
            && let Some(reason) = self.missing(now)
        {
            self.step(now, Input::Doubt(reason));
        }
        self.exit_credit.handle_rtt(rtt);
        self.error_credit.handle_rtt(rtt);
        let verdict = self.timing.verdict;
        self.step(now, Input::Tick { verdict, rtt });
        match self.state.doubted() {
            Some(_) => self.choice.handle_doubt(now),
            None => {
                self.exit_credit.end(now);
                self.error_credit.end(now);
            }
        }
    }

    /// Whether packets or probes are missed.
    fn missing(&mut self, now: Instant) -> Option<Reason> {
        let (unanswered, missed) = (self.unanswered_at(), self.missed_at());
        if unanswered.is_some_and(|at| self.unanswered.judge(now, at)) {
            return Some(Reason::Unanswered);
        }
        if missed.is_some_and(|at| self.missed.judge(now, at)) {
            self.probing.forget();
            return Some(Reason::ProbeMissed);
        }
        None
    }

    /// A doubt began.
    pub(super) fn begin(&mut self, now: Instant, reason: Reason) {
        let why = reason.as_str();
        self.outputs.push_back(Output::Tell(News::Doubted { why }));
        // What the session's packets tell may have come along another link.
        let first_hop = self.choice.active().map(Path::first_hop);
        let heard = first_hop.filter(|_| reason == Reason::LinkSuspect);
        let heard = heard.and_then(|hop| self.view.last_heard(hop.short()));
        self.recorder
            .handle_doubt(now, heard, &self.traffic, &mut self.outputs);
        self.probing.handle_doubt(now);
        self.next_kick = now;
    }

    /// The path proved itself.
    pub(super) fn clear(&mut self, now: Instant) {
        if let Some(reason) = self.missing(now) {
            // It passes probes, and no packets: the doubt begins anew, its haste does not.
            (self.state, _) = self.state.after(now, Input::Doubt(reason));
            return;
        }
        self.outputs.push_back(Output::Tell(News::Cleared));
        // The exit mirrors until it is told.
        self.probing.hasten(now);
        self.recorder.handle_cleared();
        self.forgive();
        // A lone path is not kicked while it is doubted, and quinn's next time-out comes as late again
        // as the path was silent. The next probe takes the room back.
        self.outputs.push_back(match self.choice.backup() {
            Some(_) => Output::TakeRoom,
            None => Output::Kick,
        });
    }

    /// The path failed. Without another one the session stays where it is.
    pub(super) fn leave(&mut self, now: Instant, reason: Reason) {
        if let (Some(failed), Some(backup)) = (self.choice.active(), self.choice.backup()) {
            let blamed = match reason {
                Reason::PathError(from, to) => Avoid::reported(from, to),
                Reason::LinkSuspect
                | Reason::Unanswered
                | Reason::PeerDoubts
                | Reason::ProbeMissed => self.blaming(failed, backup),
            };
            self.outputs.push_back(Output::Blame(blamed));
        }
        match reason {
            Reason::PathError(..) => self.choice.handle_path_error(now),
            Reason::LinkSuspect | Reason::Unanswered | Reason::PeerDoubts | Reason::ProbeMissed => {
                self.choice.handle_unanswered(now)
            }
        }
    }

    fn blaming(&self, failed: &Path, works: &Path) -> Avoid {
        Avoid::blaming(self.view.path_table().own(), failed, works)
    }

    fn forgive(&mut self) {
        self.traffic.unanswered = None;
        self.outputs.push_back(Output::Forgive);
    }

    /// Carries out what the choice decided.
    pub(super) fn apply_switches(&mut self, now: Instant) {
        let (mut moved, mut left) = (false, false);
        while let Some(switch) = self.choice.poll_event() {
            moved |= switch.to.is_some();
            left |= !matches!(self.state, State::Opened { .. });
            self.switch(now, switch);
        }
        if !moved {
            return;
        }
        // A move leaves no backup until the paths are looked at again.
        self.choice.handle_paths(now, self.view.path_table());
        self.look_at_link(now);
        self.forgive();
        self.probing.handle_moved(now);
        self.route();
        // The handshake went along two paths, and measured the shorter one.
        self.outputs.push_back(Output::Moved);
        // On its first path a session has lost nothing, and a kick would change the connection id
        // under the copies of its handshake that come along the other path.
        if left {
            self.outputs.push_back(Output::Kick);
        }
    }

    fn switch(&mut self, now: Instant, switch: Switched) {
        let cause = switch.cause;
        let is_first = matches!(self.state, State::Opened { .. });
        let Some(to) = switch.to else {
            self.step(now, Input::Lost);
            self.recorder
                .handle_doubt(now, None, &self.traffic, &mut self.outputs);
            if let Some(from) = switch.from {
                let news = News::Lost { cause, from };
                self.outputs.push_back(Output::Tell(news));
            }
            return;
        };
        // The first path of a new session is no failover.
        if !is_first {
            let moved = Move {
                cause,
                from: switch.from.map_or_else(Vec::new, |path| path.hops),
                to: to.hops,
                rtt: self.rtt(),
            };
            self.recorder
                .handle_move(now, moved, &self.traffic, &mut self.outputs);
        }
        self.step(now, Input::Moved);
    }

    /// Sends along the active path, and along the backup too while that one is doubted.
    pub(super) fn route(&mut self) {
        if let Some(active) = self.choice.active() {
            let mirror = self.mirror().map(|path| self.way(path));
            let active = self.way(active);
            self.outputs.push_back(Output::Route { active, mirror });
        }
    }

    fn way(&self, path: &Path) -> Way {
        let width = match self.is_narrow(path) {
            true => SMALLEST,
            false => path.mtu,
        };
        Way::of(path, width)
    }

    fn is_narrow(&self, path: &Path) -> bool {
        self.narrow.as_ref() == Some(&path.hops)
    }

    /// Sends packets in halves along the active path if it passes no whole ones, whatever its links
    /// say: a tunnel came into its way.
    pub(super) fn look_at_width(&mut self, now: Instant) {
        let Some(active) = self.choice.active() else {
            return;
        };
        if self.is_narrow(active) || !self.probing.is_too_narrow(now, self.rtt()) {
            return;
        }
        let news = News::Narrow(active.clone());
        self.narrow = Some(active.hops.clone());
        self.outputs.push_back(Output::Tell(news));
        self.probing.forget();
        self.probing.hasten(now);
        self.forgive();
        self.outputs.push_back(Output::Kick);
    }

    /// Repeats the kick while the path is doubted.
    pub(super) fn kick(&mut self, now: Instant) {
        if let Some(pace) = self.pace(now)
            && now >= self.next_kick
            && self.choice.backup().is_some()
        {
            self.next_kick = now + pace;
            self.outputs.push_back(Output::Kick);
        }
    }

    /// Sends due probes.
    pub(super) fn probe(&mut self, now: Instant) {
        let (active, backup) = (self.choice.active(), self.choice.backup());
        let way = |path: Option<&Path>| path.map(|path| self.way(path));
        let (active_way, backup_way) = (way(active), way(backup));
        let turn = Turn {
            active: active_way.as_ref(),
            backup: backup_way.as_ref(),
            narrow: active.is_some_and(|path| self.is_narrow(path)),
            activity: self.traffic.active_at(),
            doubt: self.pace(now),
        };
        self.probing.handle_tick(now, turn, &mut self.outputs);
        let backup_rtt = backup.map_or(Duration::ZERO, Path::rtt);
        if turn.doubt.is_none() && self.probing.is_backup_silent(now, backup_rtt) {
            self.blame_backup();
        }
    }

    /// The backup is silent while the active path answers: another one is wanted before it is
    /// needed.
    fn blame_backup(&mut self) {
        let (Some(active), Some(backup)) = (self.choice.active(), self.choice.backup()) else {
            return;
        };
        let blamed = self.blaming(backup, active);
        let news = News::BackupSilent(backup.clone());
        self.outputs.push_back(Output::Tell(news));
        self.outputs.push_back(Output::Blame(blamed));
        self.probing.forget();
    }
}

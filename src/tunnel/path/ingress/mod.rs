//! The path of one opened session: which one it takes, and two while it doubts the one.
//!
//! ```text
//!  new view ────────────► PathChoice ◄──── failed ──── State ◄──── link suspect, packets unanswered,
//!                             │                          │         probe missed, the exit's doubt,
//!                             ▼                          ▼         path error
//!                route, kick, record, blame     mirror, kicks, probes in a hurry
//!
//!  unreachable too long, exit restarted ──► close
//! ```
//!
//! [`State`] says whether the path is trusted; here is what is heard and concluded, `act` has what is
//! done about it.

mod act;
mod state;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::state::{Change, Input, Reason, State};
use super::deadlines::{Credit, Overdue, Timing, given_up_at, pace, round_trip};
use super::input::{Answer, Traffic};
use super::output::{News, Output};
use super::probing::{Aim, Probing};
use super::recorder::Recorder;
use crate::identity::{AgentId, ShortId};
use crate::record::Side;
use crate::routing::{Mesh, Path, PathChoice};
use crate::wire::PathError;

/// A session's state as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    pub exit: AgentId,
    pub path: Path,
    pub alternate: Option<Path>,
    /// Round trip by the last answered probe of the active path.
    pub rtt: Option<Duration>,
    /// The path is doubted.
    pub suspect: bool,
    /// Packets go along the alternate too.
    pub mirroring: bool,
    /// Probes that were not answered though later ones of the same path were.
    pub probes_lost: u64,
}

impl SessionInfo {
    /// A session that was just opened over `path`.
    pub(crate) fn new(exit: AgentId, path: Path) -> Self {
        Self {
            exit,
            path,
            alternate: None,
            rtt: None,
            suspect: false,
            mirroring: false,
            probes_lost: 0,
        }
    }
}

/// The path control of an opened session. Feed it [`Traffic`] first, then what happened, then a tick;
/// then do its outputs.
pub(crate) struct IngressPath {
    exit: AgentId,
    incarnation: Option<u64>,
    timing: Timing,
    view: Arc<Mesh>,
    traffic: Traffic,
    state: State,
    choice: PathChoice,
    probing: Probing,
    recorder: Recorder,
    /// Since when agents in reach have lost the exit.
    cut_off: Option<Instant>,
    /// What the exit may make us do.
    exit_credit: Credit,
    /// What path errors may, which anybody in the mesh could make up.
    error_credit: Credit,
    unanswered: Overdue,
    missed: Overdue,
    next_kick: Instant,
    /// The path that passed no whole packets though its links say so.
    narrow: Option<Vec<AgentId>>,
    /// By the last answered probe of the active path.
    probed: Option<Duration>,
    outputs: VecDeque<Output>,
}

impl IngressPath {
    /// A session with `exit`, of which that process is known, without a path yet; its packets have so
    /// many bytes. Hand it the first view at once: a turn that knows no path puts off the first
    /// probes, which tell the exit its way back and another one.
    pub(crate) fn new(
        now: Instant,
        (exit, incarnation): (AgentId, Option<u64>),
        packet: u16,
        timing: Timing,
        view: Arc<Mesh>,
    ) -> Self {
        Self {
            exit,
            incarnation,
            timing,
            view,
            traffic: Traffic::idle(now),
            state: State::Opened { since: now },
            choice: PathChoice::new(exit, packet),
            probing: Probing::new(now, usize::from(packet), timing),
            recorder: Recorder::new(Side::Ingress, exit),
            cut_off: None,
            exit_credit: Credit::new(now),
            error_credit: Credit::new(now),
            unanswered: Overdue::default(),
            missed: Overdue::default(),
            next_kick: now,
            narrow: None,
            probed: None,
            // The handshake took several paths at once: what came back proves none of them.
            outputs: VecDeque::from([Output::Forgive]),
        }
    }

    /// What packets tell now.
    pub(crate) fn handle_traffic(&mut self, traffic: Traffic) {
        self.traffic = traffic;
    }

    /// The mesh changed. `has_link` tells whether there is a live link with a neighbour.
    pub(crate) fn handle_view(
        &mut self,
        now: Instant,
        view: Arc<Mesh>,
        has_link: impl Fn(ShortId) -> bool,
    ) {
        self.view = view;
        let incarnation = self.view.incarnation(self.exit);
        if incarnation.is_some() && incarnation != self.incarnation {
            return self.outputs.push_back(Output::Close("the exit restarted"));
        }
        let cut_off = self.view.path_table().is_cut_off(self.exit);
        self.cut_off = self.cut_off.or(Some(now)).filter(|_| cut_off);
        if let Some(first_hop) = self.choice.active().map(Path::first_hop) {
            if has_link(first_hop.short()) {
                self.look_at_link(now);
            } else {
                // The next link is looked at after the move to it.
                self.choice.handle_link_down(now, first_hop);
            }
        }
        self.choice.handle_paths(now, self.view.path_table());
    }

    /// A transit could not forward: if it is on the active path, that one may be dead.
    ///
    /// It comes from the first hop, but anybody may have made it up: so packets take the alternate
    /// too at once, and probes decide.
    pub(crate) fn handle_path_error(&mut self, now: Instant, from: AgentId, error: &PathError) {
        let Some(active) = self.choice.active() else {
            return;
        };
        let named =
            |link: &&[AgentId]| (link[0], link[1].short()) == (error.reporter, error.next_hop);
        let ours = from == active.first_hop() && error.destination == self.exit.short();
        let Some(link) = active.hops.windows(2).find(named).filter(|_| ours) else {
            return;
        };
        let reason = Reason::PathError(link[0], link[1]);
        if self.state == State::Trusted && self.error_credit.begin(now) {
            self.step(now, Input::Doubt(reason));
        }
    }

    /// A probe was answered, or the exit said something of its own accord.
    pub(crate) fn handle_answer(&mut self, now: Instant, answer: &Answer) {
        match *answer {
            Answer::Reply(sequence) => self.handle_reply(now, sequence),
            // It is heeded so often, as it makes us mirror.
            Answer::PeerDoubts => {
                if self.state == State::Trusted && self.exit_credit.begin(now) {
                    self.step(now, Input::Doubt(Reason::PeerDoubts));
                }
            }
        }
    }

    fn handle_reply(&mut self, now: Instant, sequence: u64) {
        let Some(sent) = self.probing.handle_reply(sequence) else {
            return;
        };
        match sent.aim {
            Aim::Active => {
                self.probed = Some(now.saturating_duration_since(sent.at));
                if self.state == State::Trusted {
                    self.outputs.push_back(Output::TakeRoom);
                }
                if sent.full && !self.is_link_suspect() {
                    self.step(now, Input::PathAnswered(sent.at));
                }
            }
            Aim::Backup if sent.full => self.step(now, Input::BackupAnswered(sent.at)),
            Aim::Wide => {
                self.outputs.push_back(Output::Tell(News::Wide));
                self.narrow = None;
                self.probing.hasten(now);
            }
            // That the backup is wide enough is not proven.
            Aim::Backup => {}
        }
    }

    /// Time passed: what is done after every input.
    pub(crate) fn handle_tick(&mut self, now: Instant) {
        self.choice.handle_tick(now);
        self.look_at_width(now);
        self.judge(now);
        self.apply_switches(now);
        if self.given_up_at().is_some_and(|at| now >= at) {
            let reason = "the exit is out of reach";
            return self.outputs.push_back(Output::Close(reason));
        }
        self.route();
        self.kick(now);
        self.probe(now);
        self.recorder
            .handle_tick(now, &self.traffic, &mut self.outputs);
    }

    /// What to do next.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to tick without any input.
    pub(crate) fn poll_timeout(&self) -> Instant {
        let trusted = self.state == State::Trusted;
        [
            self.choice.poll_timeout(),
            self.recorder.poll_timeout(),
            self.unanswered_at()
                .filter(|_| trusted)
                .map(|at| self.unanswered.due(at)),
            self.missed_at()
                .filter(|_| trusted)
                .map(|at| self.missed.due(at)),
            self.given_up_at(),
        ]
        .into_iter()
        .flatten()
        .fold(self.probing.due(), Instant::min)
    }

    /// The session as people see it; `None` while it has no path.
    pub(crate) fn info(&self) -> Option<SessionInfo> {
        Some(SessionInfo {
            exit: self.exit,
            path: self.choice.active()?.clone(),
            alternate: self.choice.backup().cloned(),
            rtt: self.probed,
            suspect: self.state.doubted().is_some(),
            mirroring: self.mirror().is_some(),
            probes_lost: self.probing.missed(),
        })
    }

    /// Where packets go a second time: along the backup while the active path is doubted.
    fn mirror(&self) -> Option<&Path> {
        self.state.doubted().and(self.choice.backup())
    }

    /// What the active path's round trip may be: what the connection measured may be another path's.
    fn rtt(&self) -> Duration {
        let advertised = self.choice.active().map_or(Duration::ZERO, Path::rtt);
        round_trip(self.traffic.rtt, advertised)
    }

    /// How far apart probes and kicks are while the path is doubted.
    fn pace(&self, now: Instant) -> Option<Duration> {
        let since = self.state.doubted()?;
        Some(pace(now.saturating_duration_since(since)))
    }

    fn unanswered_at(&self) -> Option<Instant> {
        self.timing.unanswered_at(&self.traffic, self.rtt())
    }

    fn missed_at(&self) -> Option<Instant> {
        self.probing.missed_at(self.rtt())
    }

    fn given_up_at(&self) -> Option<Instant> {
        let lost = self.state.pathless()?;
        Some(given_up_at(lost, self.cut_off, self.rtt()))
    }

    fn is_link_suspect(&self) -> bool {
        let first_hop = self.choice.active().map(Path::first_hop);
        first_hop.is_some_and(|hop| self.view.is_suspect(hop.short()))
    }

    fn look_at_link(&mut self, now: Instant) {
        let input = match self.is_link_suspect() {
            true => Input::Doubt(Reason::LinkSuspect),
            false => Input::LinkHeard,
        };
        self.step(now, input);
    }

    fn step(&mut self, now: Instant, input: Input) {
        let (state, change) = self.state.after(now, input);
        self.state = state;
        match change {
            Some(Change::Began(reason)) => self.begin(now, reason),
            Some(Change::Cleared) => self.clear(now),
            Some(Change::Failed(reason)) => self.leave(now, reason),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;

//! One task per accepted session: answers along the path that the ingress uses, and along another
//! one too while either end doubts that path.
//!
//! ```text
//!  active probe ───────────► answer along its reverse; no doubt in it: stop mirroring
//!  backup probe ───────────► remember its reverse
//!  doubt in either ────────► mirror
//!  link suspect, packets
//!  not answered ───────────► mirror, tell the ingress, kick
//!  link down ──────────────► answer along the backup
//! ```
//!
//! The ingress decides which path is used; only where our own link to it is gone do we leave it by
//! ourselves. Aborting the task leaves the session on its path until it idles out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::Connection;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;
use tracing::{debug, info};

use super::congestion::Signals;
use super::kick::Kicker;
use super::open::MeshView;
use crate::clock;
use crate::forward::Fib;
use crate::identity::{AgentId, ShortId};
use crate::routing::{Path, SwitchCause};
use crate::tunnel::failover::Failovers;
use crate::tunnel::path::SMALLEST;
use crate::tunnel::path::credit::Credit;
use crate::tunnel::path::overdue::Overdue;
use crate::tunnel::path::pace::pace;
use crate::tunnel::path::probe::{Flags, Probe, ProbeKey};
use crate::tunnel::path::rescue::{Move, Rescue};
use crate::tunnel::path::timing::{Timing, round_trip};
use crate::tunnel::side::Side;
use crate::tunnel::socket::flow::Flow;
use crate::tunnel::socket::outlet::{Outlet, Outlets};
use crate::tunnel::socket::prober::{Asked, Prober};
use crate::wire::packet::PacketType;

/// A word of doubt and the probe that answers it take a round trip of the path and this: the word goes
/// along the backup, whose round trip is longer at most where the mesh says so. An ingress that does
/// not heed it says so with a later probe.
const CROSSING: Duration = Duration::from_millis(250);

/// Wakes the task though nothing is due.
const IDLE: Duration = Duration::from_secs(60);

/// What an accepted session hands to its task.
pub(crate) struct Following<V> {
    pub(crate) ingress: AgentId,
    pub(crate) connection: Connection,
    pub(crate) key: Arc<ProbeKey>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) asked: mpsc::Receiver<Asked>,
    pub(crate) view: watch::Receiver<Arc<V>>,
    pub(crate) fib: Arc<Fib>,
    pub(crate) outlets: Arc<Outlets>,
    pub(crate) prober: Arc<Prober>,
    pub(crate) kicker: Arc<Kicker>,
    pub(crate) failovers: Failovers,
    pub(crate) timing: Timing,
}

/// Follows a session until it ends; returns why it did.
pub(crate) async fn follow<V: MeshView>(mut following: Following<V>) -> String {
    let connection = following.connection.clone();
    // The first probe tells the path; until then answers take the handshake's. The backup's may be
    // here before it, and the next one is far off.
    let mut backup = None;
    let first = loop {
        tokio::select! {
            reason = connection.closed() => return reason.to_string(),
            asked = following.asked.recv() => match asked {
                Some(asked) if asked.probe.flags.active => break asked,
                Some(asked) => backup = Some(asked),
                None => return "no longer probed".to_owned(),
            },
        }
    };
    let mut task = Task::new(following, first);
    if let Some(backup) = backup {
        task.handle_asked(backup);
    }
    task.run().await
}

struct Task<V> {
    session: Following<V>,
    flow: Arc<Flow>,
    /// The way back that is in use, and another one.
    active: Vec<ShortId>,
    backup: Option<Vec<ShortId>>,
    /// Round trips of both as the mesh tells them.
    active_rtt: Duration,
    backup_rtt: Duration,
    /// UDP payloads that pass both, bytes; 0: any.
    active_width: u16,
    backup_width: u16,
    /// The ingress found the active one too narrow for whole packets.
    narrow: bool,
    /// Highest sequence of an active and of a backup probe: older ones are late or replayed.
    seen_active: u64,
    seen_backup: u64,
    /// Highest sequence of all: whose word on doubt was the last.
    told: u64,
    /// Since when the path is doubted, by either end.
    doubted: Option<Instant>,
    /// It is this end that doubts, so the other must be told.
    own_doubt: bool,
    /// The ingress doubts it too, since we do.
    agreed: bool,
    /// What the ingress may make us do.
    credit: Credit,
    link_suspect: bool,
    unanswered: Overdue,
    rescue: Rescue,
    /// Of our own words.
    sequence: u64,
    next_word: Instant,
}

impl<V: MeshView> Task<V> {
    fn new(session: Following<V>, first: Asked) -> Self {
        let now = clock::now();
        let ingress = session.ingress;
        let outlet = Outlet::new(PacketType::ToIngress, session.fib.own, &first.back);
        session.outlets.set(ingress.short(), outlet, None);
        let flow = session.outlets.flow(ingress.short());
        let flow = flow.unwrap_or_else(|| Arc::new(Flow::new(now, session.timing)));
        Self {
            rescue: Rescue::new(session.failovers.clone(), Side::Exit, ingress, flow.clone()),
            flow,
            active: first.back,
            backup: None,
            active_rtt: Duration::ZERO,
            backup_rtt: Duration::ZERO,
            active_width: SMALLEST,
            backup_width: SMALLEST,
            narrow: first.probe.flags.narrow,
            seen_active: first.probe.sequence,
            seen_backup: 0,
            told: first.probe.sequence,
            doubted: None,
            own_doubt: false,
            agreed: false,
            credit: Credit::new(now),
            link_suspect: false,
            unanswered: Overdue::default(),
            sequence: 0,
            next_word: now,
            session,
        }
    }

    async fn run(&mut self) -> String {
        self.measure();
        loop {
            let wake = self.wake_at();
            let flow = self.flow.clone();
            tokio::select! {
                reason = self.session.connection.closed() => return reason.to_string(),
                Some(asked) = self.session.asked.recv() => self.handle_asked(asked),
                changed = self.session.view.changed() => {
                    if changed.is_err() {
                        return "the agent stops".to_owned();
                    }
                    self.handle_view();
                }
                () = flow.unanswered() => {}
                () = sleep_until(wake.into()) => {}
            }
            let now = clock::now();
            self.judge(now);
            self.route();
            self.speak(now);
            self.rescue.handle_tick(now);
        }
    }

    fn wake_at(&self) -> Instant {
        let idle = clock::now() + IDLE;
        let unanswered = match self.doubted {
            None => self.overdue_at().map(|at| self.unanswered.due(at)),
            Some(_) => Some(self.next_word),
        };
        let credit = self.credit.spent_at();
        [unanswered, self.rescue.poll_timeout(), credit]
            .into_iter()
            .flatten()
            .fold(idle, Instant::min)
    }

    fn overdue_at(&self) -> Option<Instant> {
        self.flow.overdue_at(self.rtt())
    }

    /// What the active path's round trip may be: what the connection measured may be another path's.
    fn rtt(&self) -> Duration {
        round_trip(self.session.connection.rtt(), self.active_rtt)
    }

    /// Looks up how long and wide the ways back are.
    fn measure(&mut self) {
        (self.active_rtt, self.active_width) = self.assess(&self.active);
        let backup = self.backup.as_ref();
        let unknown = (Duration::ZERO, SMALLEST);
        (self.backup_rtt, self.backup_width) = backup.map_or(unknown, |path| self.assess(path));
    }

    /// The round trip and the width of a way back as far as the mesh tells them.
    fn assess(&self, path: &[ShortId]) -> (Duration, u16) {
        let view = self.session.view.borrow();
        let assessed = view.path_table().assess(&Path::along(self.named(path)));
        let unknown = (Duration::ZERO, SMALLEST);
        assessed.map_or(unknown, |(path, _)| (path.rtt(), path.mtu))
    }

    fn handle_asked(&mut self, asked: Asked) {
        let now = clock::now();
        let Asked { probe, back } = asked;
        let (seen, active) = match probe.flags.active {
            true => (&mut self.seen_active, true),
            false => (&mut self.seen_backup, false),
        };
        if probe.sequence <= *seen {
            return;
        }
        *seen = probe.sequence;
        let moved = active && back != self.active;
        if active {
            self.narrow = probe.flags.narrow;
        }
        if !active {
            if self.backup.as_ref() != Some(&back) {
                self.backup = Some(back);
                self.measure();
            }
        } else if moved {
            self.take(now, back, SwitchCause::PeerMoved);
            self.link_suspect = self.is_suspect();
        }
        // The word of doubt comes along either path, whichever lives; paths differ in length.
        if probe.sequence > self.told {
            self.told = probe.sequence;
            match probe.flags.doubt {
                true => self.believe(now),
                // The kick of a move needs its room: the next probe takes it back.
                false if active && !self.has_crossed(now) => self.trust(now, !moved),
                false => {}
            }
        }
    }

    fn handle_view(&mut self) {
        let now = clock::now();
        self.session.view.mark_unchanged();
        self.measure();
        if self.link_is_down(&self.active)
            && let Some(backup) = self.other_way().cloned()
            && !self.link_is_down(&backup)
        {
            self.take(now, backup, SwitchCause::LinkDown);
        }
        let suspect = self.is_suspect();
        if suspect && !self.link_suspect {
            let link = self.session.fib.by_neighbor(self.active[0]);
            let heard = link.and_then(|link| self.session.fib.last_heard(&link));
            self.rescue.handle_alarm(now, heard);
            self.doubt(now, true);
        }
        self.link_suspect = suspect;
    }

    fn link_is_down(&self, path: &[ShortId]) -> bool {
        self.session.fib.by_neighbor(path[0]).is_none()
    }

    fn is_suspect(&self) -> bool {
        let view = self.session.view.borrow();
        let link = self.session.fib.by_neighbor(self.active[0]);
        link.is_some_and(|link| view.is_suspect(link.neighbor))
    }

    /// Answers along `path` from now on. An ingress that moves more often than its credit allows is
    /// followed and no more is done about it.
    fn take(&mut self, now: Instant, path: Vec<ShortId>, cause: SwitchCause) {
        let left = std::mem::replace(&mut self.active, path);
        self.measure();
        self.flow.forgive();
        self.route();
        self.session.signals.handle_move();
        if cause == SwitchCause::PeerMoved && !self.credit.pay_move(now) {
            return;
        }
        let ingress = self.session.ingress;
        info!(%ingress, cause = cause.as_str(), "session answered along another path");
        self.rescue.handle_move(
            now,
            Move {
                cause,
                from: self.named(&left),
                to: self.named(&self.active),
                in_flight: self.session.signals.in_flight(),
                rtt: self.rtt(),
            },
        );
        self.session.signals.make_room();
        self.session.kicker.kick();
    }

    /// The agents behind short ids, as far as they are known.
    fn named(&self, path: &[ShortId]) -> Vec<AgentId> {
        let view = self.session.view.borrow();
        let agents = view.path_table().graph().agents();
        let find = |hop: &ShortId| agents.iter().find(|agent| agent.id.short() == *hop);
        path.iter()
            .filter_map(|hop| find(hop).map(|agent| agent.id))
            .collect()
    }

    /// The path may be dead.
    fn doubt(&mut self, now: Instant, own: bool) {
        if self.doubted.is_none() {
            debug!(ingress = %self.session.ingress, own, "path doubted");
            self.doubted = Some(now);
            (self.own_doubt, self.agreed) = (own, false);
            self.next_word = now;
            self.rescue.handle_alarm(now, None);
        }
    }

    /// The ingress doubts the path. It is heeded so often, as it makes us mirror.
    fn believe(&mut self, now: Instant) {
        if self.doubted.is_none() && self.credit.begin(now) {
            self.doubt(now, false);
        }
        self.agreed = true;
    }

    /// Whether a probe that came now may have left before the ingress heard of our doubt.
    fn has_crossed(&self, now: Instant) -> bool {
        let heard_by = |since: Instant| since + self.rtt() + CROSSING.max(self.backup_rtt);
        let waits = self.own_doubt && !self.agreed;
        waits && self.doubted.is_some_and(|since| now < heard_by(since))
    }

    /// The ingress says that the path is sound; `settled`: it was in use before.
    fn trust(&mut self, now: Instant, settled: bool) {
        self.credit.end(now);
        if self.doubted.take().is_some() {
            debug!(ingress = %self.session.ingress, "path trusted again");
            self.rescue.handle_all_clear();
            self.flow.forgive();
            if self.other_way().is_none() {
                // A lone path is not kicked while it is doubted, and quinn's next time-out comes as
                // late again as the path was silent. The next probe takes the room back.
                self.session.signals.make_room();
                return self.session.kicker.kick();
            }
        }
        if settled {
            self.session.signals.take_room();
        }
    }

    fn judge(&mut self, now: Instant) {
        self.credit.handle_rtt(self.rtt());
        // Our own doubt of a path that carries packets ends with the next word of the ingress, which
        // may leave it unsaid.
        let answered = |since| self.flow.was_proved(since);
        if self.own_doubt && self.doubted.is_some_and(answered) {
            self.credit.spend(now);
        }
        if self.credit.spent_at().is_some_and(|at| now >= at) {
            debug!(ingress = %self.session.ingress, "doubted too much: its word is not heeded");
            self.trust(now, true);
        }
        if self.doubted.is_none()
            && let Some(at) = self.overdue_at()
            && self.unanswered.judge(now, at)
        {
            self.doubt(now, true);
        }
    }

    /// Answers along the active path, and along the backup too while that one is doubted.
    fn route(&self) {
        let own = self.session.fib.own;
        let outlet = |path: &Vec<ShortId>| {
            let width = match *path == self.active {
                true if self.narrow => SMALLEST,
                true => self.active_width,
                false => self.backup_width,
            };
            Outlet::new(PacketType::ToIngress, own, path).within(width)
        };
        let mirrors = self.doubted.is_some() || self.link_suspect;
        let mirror = self.other_way().filter(|_| mirrors);
        self.session.outlets.set(
            self.session.ingress.short(),
            outlet(&self.active),
            mirror.map(outlet),
        );
    }

    /// The backup, if it differs from the path in use.
    fn other_way(&self) -> Option<&Vec<ShortId>> {
        self.backup.as_ref().filter(|path| **path != self.active)
    }

    /// Kicks while the path is doubted, and tells the ingress if it is this end that doubts.
    fn speak(&mut self, now: Instant) {
        let Some(since) = self.doubted.filter(|_| now >= self.next_word) else {
            return;
        };
        self.next_word = now + pace(now.saturating_duration_since(since));
        let Some(backup) = self.other_way() else {
            return;
        };
        let backup = backup.clone();
        self.session.signals.make_room();
        self.session.kicker.kick();
        if !self.own_doubt {
            return;
        }
        self.sequence += 1;
        let word = Probe {
            tag: self.session.key.tag,
            sequence: self.sequence,
            flags: Flags {
                active: false,
                doubt: true,
                signal: true,
                narrow: false,
            },
        };
        // A word proves nothing of the path, so it need not fill it.
        let prober = &self.session.prober;
        prober.send(&self.session.key, &backup, word, 0);
    }
}

#[cfg(test)]
mod tests;

//! One task per opened session: keeps it on a live path, and on two while it doubts the one.
//!
//! ```text
//!  new view, path error ────► PathChoice ◄──── verdict ──── Doubt ◄──── link suspect, unanswered
//!                                │                            │         packets, missed probes,
//!                                ▼                            ▼         the exit's own doubt
//!                   outlet, kick, failover record     mirror, kicks, probes in a hurry
//!
//!  unreachable too long, exit restarted ──► close
//! ```
//!
//! Aborting the task leaves the session on its path until it idles out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::Connection;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{sleep, sleep_until};
use tracing::{debug, info, warn};

use super::accept::LINGER;
use super::congestion::Signals;
use super::doubt::{Doubt, Reason};
use super::flow::Flow;
use super::outlet::Hold;
use super::overdue::Overdue;
use super::probe::ProbeKey;
use super::prober::Answer;
use super::probing::{Probing, Way, Ways};
use super::rescue::{Move, Rescue};
use super::sessions::{MeshView, SessionInfo, Sessions, short_hops};
use super::side::Side;
use crate::clock;
use crate::identity::AgentId;
use crate::routing::{Avoid, Path, PathChoice, SwitchCause, Switched};
use crate::wire::PathError;

/// A session whose exit is out of sight this long is over: its streams end instead of hanging. A
/// transit that was the only way is back by then if it just restarted.
const OUT_OF_SIGHT: Duration = Duration::from_secs(5);

/// The same if agents that we see have lost the exit: it is most likely dead.
const CUT_OFF: Duration = Duration::from_secs(1);

/// Paths are looked at again though nothing changed: one that failed is given another chance.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What a new session hands to its task.
pub(super) struct Steering {
    pub(super) exit: AgentId,
    pub(super) incarnation: Option<u64>,
    pub(super) connection: Connection,
    pub(super) key: Arc<ProbeKey>,
    pub(super) packet: u16,
    pub(super) signals: Arc<Signals>,
    pub(super) flow: Arc<Flow>,
    pub(super) hold: Hold,
    pub(super) info: watch::Sender<SessionInfo>,
}

/// Steers a session until it ends.
pub(super) async fn steer<V: MeshView>(sessions: Arc<Sessions<V>>, steering: Steering) {
    let exit = steering.exit;
    let mut task = Task::new(sessions.clone(), steering);
    sessions.log.opened(Side::Ingress, exit);
    let reason = task.run().await;
    sessions.log.ended(Side::Ingress, exit, &reason);
    info!(%exit, %reason, "session ended");
    sessions.forget(exit, &task.steering.connection);
    // What quinn still has to say (its last close) needs the path.
    sleep(LINGER).await;
    sessions.prober.unregister(&task.steering.key);
    drop(task.steering.hold);
}

struct Task<V> {
    sessions: Arc<Sessions<V>>,
    steering: Steering,
    choice: PathChoice,
    view: watch::Receiver<Arc<V>>,
    errors: broadcast::Receiver<(AgentId, PathError)>,
    answers: mpsc::Receiver<Answer>,
    probing: Probing,
    doubt: Doubt,
    /// What `doubt` said last.
    doubted: bool,
    /// The session has had a path.
    had_path: bool,
    rescue: Rescue,
    unanswered: Overdue,
    missed: Overdue,
    /// Since when there is no path.
    unreachable_since: Option<Instant>,
    /// Since when agents in reach have lost the exit.
    cut_off_since: Option<Instant>,
    /// When the paths were last looked at.
    looked: Instant,
    next_kick: Instant,
}

impl<V: MeshView> Task<V> {
    fn new(sessions: Arc<Sessions<V>>, steering: Steering) -> Self {
        let (exit, now) = (steering.exit, clock::now());
        let (prober, key) = (sessions.prober.clone(), steering.key.clone());
        let (failovers, timing) = (sessions.failovers.clone(), sessions.timing);
        // The handshake took several paths at once: what came back proves none of them.
        steering.flow.forgive();
        Self {
            answers: prober.register_opened(key.clone(), exit.short()),
            choice: PathChoice::new(exit, steering.packet),
            view: sessions.view.clone(),
            errors: sessions.path_errors.subscribe(),
            probing: Probing::new(now, prober, key, usize::from(steering.packet), timing),
            doubt: Doubt::new(timing.verdict),
            doubted: false,
            had_path: false,
            rescue: Rescue::new(failovers, Side::Ingress, exit, steering.flow.clone()),
            unanswered: Overdue::default(),
            missed: Overdue::default(),
            unreachable_since: None,
            cut_off_since: None,
            looked: now,
            next_kick: now,
            sessions,
            steering,
        }
    }

    async fn run(&mut self) -> String {
        // The view may have changed while the session shook hands.
        self.view.mark_changed();
        loop {
            let wake = self.wake_at();
            let flow = self.steering.flow.clone();
            tokio::select! {
                reason = self.steering.connection.closed() => return reason.to_string(),
                changed = self.view.changed() => {
                    if changed.is_err() {
                        return "the agent stops".to_owned();
                    }
                    if let Some(reason) = self.handle_view() {
                        return self.close(reason);
                    }
                }
                error = self.errors.recv() => {
                    // Lagging loses errors that the next packets cause again.
                    if let Ok((from, error)) = error {
                        self.handle_path_error(from, &error);
                    }
                }
                Some(answer) = self.answers.recv() => self.handle_answer(&answer),
                () = flow.unanswered() => {}
                () = sleep_until(wake.into()) => {}
            }
            if let Some(reason) = self.out_of_reach() {
                return self.close(reason);
            }
            self.turn(clock::now());
        }
    }

    /// What is done after every input.
    fn turn(&mut self, now: Instant) {
        self.choice.handle_tick(now);
        self.judge(now);
        self.apply_switches(now);
        if now >= self.looked + LOOK_AGAIN {
            self.look_at_paths(now);
        }
        self.route();
        self.kick(now);
        self.probe(now);
        self.rescue.handle_tick(now);
        self.publish();
    }

    /// When [`turn`](Self::turn) is due without any input.
    fn wake_at(&self) -> Instant {
        let rtt = self.steering.connection.rtt();
        let unanswered = self.steering.flow.overdue_at(rtt);
        let missed = self.probing.overdue_at(rtt);
        let trusted = self.doubt.since().is_none();
        [
            self.choice.poll_timeout(),
            self.rescue.poll_timeout(),
            unanswered
                .filter(|_| trusted)
                .map(|at| self.unanswered.due(at)),
            missed.filter(|_| trusted).map(|at| self.missed.due(at)),
            self.given_up_at(),
        ]
        .into_iter()
        .flatten()
        .fold(self.probing.due(), Instant::min)
    }

    fn close(&self, reason: &str) -> String {
        self.steering
            .connection
            .close(1u32.into(), reason.as_bytes());
        reason.to_owned()
    }

    fn out_of_reach(&self) -> Option<&'static str> {
        let given_up = self.given_up_at()?;
        (clock::now() >= given_up).then_some("the exit is out of reach")
    }

    /// When the session is over, if its exit stays out of reach.
    fn given_up_at(&self) -> Option<Instant> {
        let out_of_sight = self.unreachable_since? + OUT_OF_SIGHT;
        let cut_off = self.cut_off_since.map(|since| since + CUT_OFF);
        Some(cut_off.map_or(out_of_sight, |at| at.min(out_of_sight)))
    }

    /// Follows a new view; a reason to close the session, if there is one.
    fn handle_view(&mut self) -> Option<&'static str> {
        let view = self.view.borrow_and_update().clone();
        let now = clock::now();
        let incarnation = view.incarnation(self.steering.exit);
        if incarnation.is_some() && incarnation != self.steering.incarnation {
            return Some("the exit restarted");
        }
        let table = view.path_table();
        self.cut_off_since = match table.is_cut_off(self.steering.exit) {
            true => self.cut_off_since.or(Some(now)),
            false => None,
        };
        if let Some(first_hop) = self.choice.active().map(Path::first_hop) {
            if self.sessions.fib.by_neighbor(first_hop.short()).is_none() {
                self.choice.handle_link_down(now, first_hop);
            }
            self.suspect(now, first_hop, view.is_suspect(first_hop));
        }
        self.look_at_paths(now);
        None
    }

    fn suspect(&mut self, now: Instant, first_hop: AgentId, suspect: bool) {
        self.doubt.handle_link(now, suspect);
        if suspect {
            let link = self.sessions.fib.by_neighbor(first_hop.short());
            let heard = link.and_then(|link| self.sessions.fib.last_heard(&link));
            self.rescue.handle_alarm(now, heard);
        }
    }

    fn look_at_paths(&mut self, now: Instant) {
        let view = self.view.borrow().clone();
        self.choice.handle_paths(now, view.path_table());
        self.looked = now;
        // A path may be there and yet too narrow for the session's packets.
        self.unreachable_since = match self.choice.active() {
            Some(_) => None,
            None => self.unreachable_since.or(Some(now)),
        };
    }

    /// A transit could not forward: if it is on the active path, that one may be dead.
    ///
    /// It comes from the first hop, but anybody may have made it up: so packets take the alternate
    /// too at once, and probes decide.
    fn handle_path_error(&mut self, from: AgentId, error: &PathError) {
        let Some(active) = self.choice.active() else {
            return;
        };
        let hops = short_hops(active);
        let broken = (error.reporter.short(), error.next_hop);
        let ours = from == active.first_hop()
            && error.destination == self.steering.exit.short()
            && hops.windows(2).any(|link| (link[0], link[1]) == broken);
        if ours {
            self.sign(clock::now(), Reason::PathError);
        }
    }

    fn handle_answer(&mut self, answer: &Answer) {
        let now = clock::now();
        let sequence = match answer {
            Answer::Reply(sequence) => *sequence,
            Answer::PeerDoubts => return self.sign(now, Reason::PeerDoubts),
        };
        let Some(sent) = self.probing.handle_reply(sequence) else {
            return;
        };
        match sent.way {
            Way::Active => {
                self.doubt.handle_path_answered(now, sent.at);
                let rtt = now.saturating_duration_since(sent.at);
                self.steering.info.send_modify(|info| info.rtt = Some(rtt));
                if self.doubt.since().is_none() {
                    self.steering.signals.take_room();
                }
            }
            Way::Backup => self.doubt.handle_backup_answered(now, sent.at),
        }
    }

    /// The path may be dead.
    fn sign(&mut self, now: Instant, reason: Reason) {
        if self.doubt.since().is_none() {
            debug!(exit = %self.steering.exit, ?reason, "path doubted");
        }
        self.doubt.handle_sign(now, reason);
        self.rescue.handle_alarm(now, None);
    }

    /// The path proved itself.
    fn trust(&mut self, now: Instant) {
        debug!(exit = %self.steering.exit, "path trusted again");
        // The exit mirrors until it is told.
        self.probing.hasten(now);
        self.rescue.handle_all_clear();
        self.steering.flow.forgive();
        self.steering.signals.take_room();
    }

    /// Looks for signs of a dead path, and at the verdict.
    fn judge(&mut self, now: Instant) {
        let rtt = self.steering.connection.rtt();
        if self.doubt.since().is_none() {
            let unanswered = self.steering.flow.overdue_at(rtt);
            let missed = self.probing.overdue_at(rtt);
            if unanswered.is_some_and(|at| self.unanswered.judge(now, at)) {
                self.sign(now, Reason::Unanswered);
            } else if missed.is_some_and(|at| self.missed.judge(now, at)) {
                self.probing.forget();
                self.sign(now, Reason::ProbeMissed);
            }
        }
        self.doubt.handle_tick(now, rtt);
        let failed = self.doubt.failed();
        match failed {
            Some(Reason::PathError) => self.choice.handle_path_error(now),
            Some(_) => self.choice.handle_unanswered(now),
            None => {}
        }
        if failed.is_some() {
            self.doubt.handle_moved(now);
        }
        let doubted = self.doubt.since().is_some();
        if self.doubted && !doubted && failed.is_none() {
            self.trust(now);
        }
        self.doubted = doubted;
        self.choice.handle_suspect(now, doubted);
    }

    /// Carries out what the choice decided.
    fn apply_switches(&mut self, now: Instant) {
        let mut moved = false;
        while let Some(switch) = self.choice.poll_event() {
            moved |= switch.to.is_some();
            self.report(now, switch);
        }
        if !moved {
            return;
        }
        // A move leaves no backup until the paths are looked at again.
        self.look_at_paths(now);
        self.doubt.handle_moved(now);
        self.doubted = false;
        if let Some(first_hop) = self.choice.active().map(Path::first_hop) {
            let suspect = self.view.borrow().is_suspect(first_hop);
            self.suspect(now, first_hop, suspect);
        }
        self.steering.flow.forgive();
        self.probing.handle_moved(now);
        self.route();
        self.steering.signals.make_room();
        self.sessions.kick();
    }

    fn report(&mut self, now: Instant, switch: Switched) {
        let exit = self.steering.exit;
        let cause = switch.cause.as_str();
        let text = |path: &Option<Path>| path.as_ref().map_or("none".to_owned(), Path::to_string);
        let (from, to) = (text(&switch.from), text(&switch.to));
        let Some(to_path) = switch.to else {
            self.rescue.handle_alarm(now, None);
            return warn!(%exit, cause, %from, "session has no path");
        };
        if switch.cause == SwitchCause::Unanswered
            && let Some(left) = &switch.from
        {
            // Full: others have failed just now, and this one will again.
            let own = self.view.borrow().path_table().own();
            let blamed = Avoid::blaming(own, left, &to_path);
            let _ = self.sessions.failed_paths.try_send(blamed);
        }
        // The first path of a new session is no failover.
        if switch.from.is_none() && !std::mem::replace(&mut self.had_path, true) {
            return;
        }
        info!(%exit, cause, %from, %to, "session moved to another path");
        let moved = Move {
            cause: switch.cause,
            from: switch.from.map_or_else(Vec::new, |path| path.hops),
            to: to_path.hops,
            in_flight: self.steering.signals.in_flight(),
        };
        self.rescue.handle_move(now, moved);
    }

    /// Sends along the active path, and along the backup too while that one is doubted.
    fn route(&self) {
        if let Some(active) = self.choice.active() {
            self.sessions
                .route(self.steering.exit, active, self.choice.mirror());
        }
    }

    /// Repeats the kick while the path is doubted.
    fn kick(&mut self, now: Instant) {
        let Some(pace) = self.doubt.pace(now) else {
            self.next_kick = now;
            return;
        };
        if now >= self.next_kick && self.choice.mirror().is_some() {
            self.next_kick = now + pace;
            self.steering.signals.make_room();
            self.sessions.kick();
        }
    }

    /// Sends due probes.
    fn probe(&mut self, now: Instant) {
        let active = self.choice.active().map(short_hops);
        let backup = self.choice.backup().map(short_hops);
        let activity = self.steering.flow.last_activity();
        let pace = self.doubt.pace(now);
        self.probing.handle_tick(
            now,
            Ways {
                active: active.as_deref(),
                backup: backup.as_deref(),
            },
            activity,
            pace,
        );
        if pace.is_none() && self.probing.is_backup_silent(now) {
            self.blame_backup();
        }
    }

    /// The backup is silent while the active path answers: another one is wanted before it is
    /// needed.
    fn blame_backup(&mut self) {
        let (Some(active), Some(backup)) = (self.choice.active(), self.choice.backup()) else {
            return;
        };
        debug!(exit = %self.steering.exit, %backup, "backup unanswered");
        let own = self.view.borrow().path_table().own();
        let blamed = Avoid::blaming(own, backup, active);
        let _ = self.sessions.failed_paths.try_send(blamed);
        self.probing.forget();
    }

    fn publish(&self) {
        let (Some(path), alternate) = (self.choice.active(), self.choice.backup()) else {
            return;
        };
        let suspect = self.doubt.since().is_some();
        let mirroring = self.choice.mirror().is_some();
        let probes_lost = self.probing.missed();
        self.steering.info.send_if_modified(|info| {
            let changed = info.path != *path
                || info.alternate.as_ref() != alternate
                || (info.suspect, info.mirroring, info.probes_lost)
                    != (suspect, mirroring, probes_lost);
            if changed {
                info.path = path.clone();
                info.alternate = alternate.cloned();
                (info.suspect, info.mirroring) = (suspect, mirroring);
                info.probes_lost = probes_lost;
            }
            changed
        });
    }
}

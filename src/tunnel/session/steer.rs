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
//! Here is what the task hears and concludes; `act` is what it does about it.
//!
//! Aborting the task leaves the session on its path until it idles out.

mod act;

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::Connection;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{sleep, sleep_until};
use tracing::{debug, info};

use super::accept::linger;
use super::congestion::Signals;
use super::open::{MeshView, SessionInfo, Sessions};
use crate::clock;
use crate::identity::AgentId;
use crate::routing::{Avoid, Path, PathChoice};
use crate::task::{self, Served};
use crate::tunnel::path::credit::Credit;
use crate::tunnel::path::doubt::{Doubt, Reason};
use crate::tunnel::path::overdue::Overdue;
use crate::tunnel::path::probe::ProbeKey;
use crate::tunnel::path::probing::{Probing, Way};
use crate::tunnel::path::reach::Reach;
use crate::tunnel::path::rescue::Rescue;
use crate::tunnel::path::timing::round_trip;
use crate::tunnel::side::Side;
use crate::tunnel::socket::flow::Flow;
use crate::tunnel::socket::outlet::Hold;
use crate::tunnel::socket::prober::Answer;
use crate::wire::PathError;

/// What a new session hands to its task.
pub(crate) struct Steering {
    pub(crate) exit: AgentId,
    pub(crate) incarnation: Option<u64>,
    pub(crate) connection: Connection,
    pub(crate) key: Arc<ProbeKey>,
    pub(crate) packet: u16,
    pub(crate) signals: Arc<Signals>,
    pub(crate) flow: Arc<Flow>,
    pub(crate) hold: Hold,
    pub(crate) info: watch::Sender<SessionInfo>,
}

/// Steers a session until it ends.
pub(crate) async fn steer<V: MeshView>(sessions: Arc<Sessions<V>>, steering: Steering) {
    let exit = steering.exit;
    let mut task = Task::new(sessions.clone(), steering);
    sessions.log.opened(Side::Ingress, exit);
    let reason = task::contain(Served::Session, task.run()).await;
    let reason = reason.unwrap_or_else(|| {
        // Nobody would keep it on a live path any more.
        let connection = &task.steering.connection;
        connection.close(0u32.into(), b"a defect of this agent");
        "a defect of this agent".to_owned()
    });
    sessions.log.ended(Side::Ingress, exit, &reason);
    info!(%exit, %reason, "session ended");
    sessions.forget(exit, &task.steering.connection);
    // What quinn still has to say (its last close) needs the path.
    sleep(linger(&task.steering.connection)).await;
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
    /// What the exit may make us do.
    exit_credit: Credit,
    /// What path errors may, which anybody in the mesh could make up.
    error_credit: Credit,
    /// What the last path error that began a doubt blames.
    reported: Avoid,
    /// The session has had a path.
    had_path: bool,
    rescue: Rescue,
    unanswered: Overdue,
    missed: Overdue,
    reach: Reach,
    next_kick: Instant,
    /// The path that passed no whole packets though its links say so.
    narrow: Option<Vec<AgentId>>,
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
            exit_credit: Credit::new(now),
            error_credit: Credit::new(now),
            reported: Avoid::default(),
            had_path: false,
            rescue: Rescue::new(failovers, Side::Ingress, exit, steering.flow.clone()),
            unanswered: Overdue::default(),
            missed: Overdue::default(),
            reach: Reach::default(),
            next_kick: now,
            narrow: None,
            sessions,
            steering,
        }
    }

    async fn run(&mut self) -> String {
        // Before anything is due: a turn that knows no path puts the first probes off by a second,
        // until the move to the first path makes them due again. They tell the exit its way back
        // and another one, so none is to wait for that.
        if let Some(reason) = self.handle_view() {
            return self.close(reason);
        }
        self.turn(clock::now());
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
        self.look_at_width(now);
        self.judge(now);
        self.apply_switches(now);
        self.route();
        self.kick(now);
        self.probe(now);
        self.rescue.handle_tick(now);
        self.publish();
    }

    /// When [`turn`](Self::turn) is due without any input.
    fn wake_at(&self) -> Instant {
        let rtt = self.rtt();
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
            self.reach.given_up_at(rtt),
        ]
        .into_iter()
        .flatten()
        .fold(self.probing.due(), Instant::min)
    }

    /// What the active path's round trip may be: what the connection measured may be another path's.
    fn rtt(&self) -> Duration {
        let advertised = self.choice.active().map_or(Duration::ZERO, Path::rtt);
        round_trip(self.steering.connection.rtt(), advertised)
    }

    fn close(&self, reason: &str) -> String {
        self.steering
            .connection
            .close(1u32.into(), reason.as_bytes());
        reason.to_owned()
    }

    fn out_of_reach(&self) -> Option<&'static str> {
        let given_up = self.reach.given_up_at(self.rtt())?;
        (clock::now() >= given_up).then_some("the exit is out of reach")
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
        let cut_off = table.is_cut_off(self.steering.exit);
        self.reach.handle_cut_off(now, cut_off);
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
        // A path may be there and yet too narrow for the session's packets.
        let has_path = self.choice.active().is_some();
        self.reach.handle_path(now, has_path);
    }

    /// A transit could not forward: if it is on the active path, that one may be dead.
    ///
    /// It comes from the first hop, but anybody may have made it up: so packets take the alternate
    /// too at once, and probes decide.
    fn handle_path_error(&mut self, from: AgentId, error: &PathError) {
        let Some(active) = self.choice.active() else {
            return;
        };
        let named =
            |link: &&[AgentId]| (link[0], link[1].short()) == (error.reporter, error.next_hop);
        let ours = from == active.first_hop() && error.destination == self.steering.exit.short();
        let Some(link) = active.hops.windows(2).find(named).filter(|_| ours) else {
            return;
        };
        let reported = Avoid::reported(link[0], link[1]);
        let now = clock::now();
        if self.doubt.since().is_none() && self.error_credit.begin(now) {
            self.reported = reported;
            self.sign(now, Reason::PathError);
        }
    }

    fn handle_answer(&mut self, answer: &Answer) {
        let now = clock::now();
        let sequence = match answer {
            Answer::Reply(sequence) => *sequence,
            Answer::PeerDoubts => return self.believe(now),
        };
        let Some(sent) = self.probing.handle_reply(sequence) else {
            return;
        };
        match sent.way {
            Way::Active => {
                if sent.full {
                    self.doubt.handle_path_answered(now, sent.at);
                }
                let rtt = now.saturating_duration_since(sent.at);
                self.steering.info.send_modify(|info| info.rtt = Some(rtt));
                if self.doubt.since().is_none() {
                    self.steering.signals.take_room();
                }
            }
            Way::Backup if sent.full => self.doubt.handle_backup_answered(now, sent.at),
            Way::Wide => {
                info!(exit = %self.steering.exit, "path wide again");
                self.narrow = None;
                self.probing.hasten(now);
            }
            // That the backup is wide enough is not proven.
            Way::Backup => {}
        }
    }

    /// The exit doubts the path. It is heeded so often, as it makes us mirror.
    fn believe(&mut self, now: Instant) {
        if self.doubt.since().is_none() && self.exit_credit.begin(now) {
            self.sign(now, Reason::PeerDoubts);
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
        if self.choice.mirror().is_some() {
            return self.steering.signals.take_room();
        }
        // A lone path is not kicked while it is doubted, and quinn's next time-out comes as late again
        // as the path was silent. The next probe takes the room back.
        self.steering.signals.make_room();
        self.sessions.kick();
    }

    /// Looks for signs of a dead path, and at the verdict.
    fn judge(&mut self, now: Instant) {
        let rtt = self.rtt();
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
        self.exit_credit.handle_rtt(rtt);
        self.error_credit.handle_rtt(rtt);
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
        if !doubted {
            self.exit_credit.end(now);
            self.error_credit.end(now);
        }
        self.choice.handle_suspect(now, doubted);
    }
}

#[cfg(test)]
mod tests;

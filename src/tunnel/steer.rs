//! One task per opened session: keeps it on a live path and its probes going.
//!
//! ```text
//!  new view, path error ──► PathChoice ──► outlet, kick, probe (active)
//!  timer ────────────────► probes of active and alternate path ──► replies: round trips
//!  unreachable too long, exit restarted ──► close
//! ```
//!
//! Aborting the task leaves the session on its path until it idles out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::Connection;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{sleep, sleep_until};
use tracing::{info, warn};

use super::accept::LINGER;
use super::failover::Failover;
use super::metrics::Side;
use super::probe::{Probe, ProbeKey};
use super::sessions::{MeshView, SessionInfo, Sessions, short_hops};
use crate::identity::{AgentId, ShortId};
use crate::routing::{Path, PathChoice};
use crate::wire::PathError;

/// Probes of a settled session: often enough to keep round trips fresh.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Probes until the exit has confirmed a path: it answers along the old one until then.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(20);

/// After this many unanswered probes the confirming ones slow down.
const CONFIRM_TRIES: u32 = 50;

/// A session whose exit is out of reach this long is over: its streams end instead of hanging.
const UNREACHABLE: Duration = Duration::from_secs(5);

/// Probes on their way that are remembered.
const OUTSTANDING: usize = 64;

/// Paths are looked at again though nothing changed: one that failed is given another chance.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What a new session hands to its task.
pub(super) struct Steering {
    pub(super) exit: AgentId,
    pub(super) incarnation: Option<u64>,
    pub(super) connection: Connection,
    pub(super) key: Arc<ProbeKey>,
    pub(super) info: watch::Sender<SessionInfo>,
}

/// Steers a session until it ends.
pub(super) async fn steer<V: MeshView>(sessions: Arc<Sessions<V>>, steering: Steering) {
    let exit = steering.exit;
    let replies = sessions
        .prober
        .register_opened(steering.key.clone(), exit.short());
    let mut task = Task {
        choice: PathChoice::new(exit),
        view: sessions.view.clone(),
        errors: sessions.path_errors.subscribe(),
        sessions: sessions.clone(),
        steering,
        replies,
        sequence: 0,
        outstanding: VecDeque::new(),
        confirmed: false,
        tries: 0,
        unreachable_since: None,
        looked: Instant::now(),
    };
    sessions.log.opened(Side::Ingress, exit);
    let reason = task.run().await;
    sessions.log.ended(Side::Ingress, exit, &reason);
    info!(%exit, %reason, "session ended");
    sessions.forget(exit, &task.steering.connection);
    // What quinn still has to say (its last close) needs the path.
    sleep(LINGER).await;
    if sessions.prober.unregister(&task.steering.key) {
        sessions.outlets.remove(exit.short());
    }
}

struct Task<V> {
    sessions: Arc<Sessions<V>>,
    steering: Steering,
    choice: PathChoice,
    view: watch::Receiver<Arc<V>>,
    errors: broadcast::Receiver<(AgentId, PathError)>,
    replies: mpsc::Receiver<u64>,
    sequence: u64,
    outstanding: VecDeque<Sent>,
    /// The exit has answered a probe of the active path.
    confirmed: bool,
    tries: u32,
    unreachable_since: Option<Instant>,
    /// When the paths were last looked at.
    looked: Instant,
}

struct Sent {
    sequence: u64,
    at: Instant,
    active: bool,
}

impl<V: MeshView> Task<V> {
    async fn run(&mut self) -> String {
        let mut next_probe = Instant::now();
        // The view may have changed while the session shook hands.
        self.view.mark_changed();
        loop {
            let wake = self.choice.poll_timeout();
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
                Some(sequence) = self.replies.recv() => self.handle_reply(sequence),
                () = sleep_until(next_probe.into()) => {}
                () = sleep_until(wake.unwrap_or(next_probe + PROBE_INTERVAL).into()) => {
                    self.choice.handle_tick(Instant::now());
                }
            }
            if self
                .unreachable_since
                .is_some_and(|since| since.elapsed() >= UNREACHABLE)
            {
                return self.close("the exit is out of reach");
            }
            if self.apply_switches() {
                next_probe = Instant::now();
            }
            if self.looked.elapsed() >= LOOK_AGAIN {
                self.look_at_paths();
            }
            if Instant::now() >= next_probe {
                next_probe = Instant::now() + self.probe();
            }
        }
    }

    fn close(&self, reason: &str) -> String {
        self.steering
            .connection
            .close(1u32.into(), reason.as_bytes());
        reason.to_owned()
    }

    /// Follows a new view; a reason to close the session, if there is one.
    fn handle_view(&mut self) -> Option<&'static str> {
        let view = self.view.borrow_and_update().clone();
        let now = Instant::now();
        let incarnation = view.incarnation(self.steering.exit);
        if incarnation.is_some() && incarnation != self.steering.incarnation {
            return Some("the exit restarted");
        }
        let table = view.path_table();
        match table.is_reachable(self.steering.exit) {
            true => self.unreachable_since = None,
            false => self.unreachable_since = self.unreachable_since.or(Some(now)),
        }
        let first_hop = self.choice.active().map(Path::first_hop);
        if let Some(first_hop) = first_hop
            && self.sessions.fib.by_neighbor(first_hop.short()).is_none()
        {
            self.choice.handle_link_down(now, first_hop);
        }
        self.look_at_paths();
        None
    }

    fn look_at_paths(&mut self) {
        let now = Instant::now();
        let view = self.view.borrow().clone();
        self.choice.handle_paths(now, view.path_table());
        self.looked = now;
    }

    /// A transit could not forward: if it is on the active path, the alternate is better.
    ///
    /// Only who forwards the path's packets anyway is believed: it comes from the first hop.
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
            self.choice.handle_path_error(Instant::now());
        }
    }

    fn handle_reply(&mut self, sequence: u64) {
        let Some(at) = self
            .outstanding
            .iter()
            .position(|sent| sent.sequence == sequence)
        else {
            return;
        };
        let Some(sent) = self.outstanding.remove(at) else {
            return;
        };
        if sent.active {
            self.confirmed = true;
            let rtt = sent.at.elapsed();
            self.steering.info.send_modify(|info| info.rtt = Some(rtt));
        }
    }

    /// Carries out what the choice decided; `true` if the session moved.
    fn apply_switches(&mut self) -> bool {
        let mut moved = false;
        while let Some(switch) = self.choice.poll_event() {
            let exit = self.steering.exit;
            let (from, to) = (hops_text(&switch.from), hops_text(&switch.to));
            let Some(path) = switch.to else {
                warn!(%exit, %from, "session has no path");
                continue;
            };
            moved = true;
            self.sessions.route(exit, &path);
            if let Some(left) = switch.from {
                let cause = switch.cause.as_str();
                info!(%exit, cause, %from, %to, "session moved to another path");
                self.sessions.failovers.begin(Failover {
                    side: Side::Ingress,
                    peer: exit,
                    cause: switch.cause,
                    from: left.hops,
                    to: path.hops,
                    detected: None,
                    stall: None,
                    in_flight: 0,
                });
            }
        }
        if moved {
            // A move leaves no backup until the paths are looked at again.
            self.look_at_paths();
            self.confirmed = false;
            self.tries = 0;
            // Probes of the old path must not confirm the new one.
            self.outstanding.clear();
            self.sessions.kick();
        }
        self.publish();
        moved
    }

    fn publish(&self) {
        let (Some(path), alternate) = (self.choice.active(), self.choice.backup()) else {
            return;
        };
        self.steering.info.send_if_modified(|info| {
            let changed = info.path != *path || info.alternate.as_ref() != alternate;
            if changed {
                info.path = path.clone();
                info.alternate = alternate.cloned();
            }
            changed
        });
    }

    /// Sends due probes; returns when the next are due.
    fn probe(&mut self) -> Duration {
        let Some(active) = self.choice.active().map(short_hops) else {
            return PROBE_INTERVAL;
        };
        self.send(&active, true);
        if !self.confirmed {
            self.tries = self.tries.saturating_add(1);
            if self.tries < CONFIRM_TRIES {
                return CONFIRM_INTERVAL;
            }
        } else if let Some(backup) = self.choice.backup().map(short_hops) {
            self.send(&backup, false);
        }
        PROBE_INTERVAL
    }

    fn send(&mut self, hops: &[ShortId], active: bool) {
        self.sequence += 1;
        let probe = Probe {
            tag: self.steering.key.tag,
            sequence: self.sequence,
            active,
        };
        self.sessions.prober.send(&self.steering.key, hops, probe);
        self.outstanding.push_back(Sent {
            sequence: self.sequence,
            at: Instant::now(),
            active,
        });
        if self.outstanding.len() > OUTSTANDING {
            self.outstanding.pop_front();
        }
    }
}

fn hops_text(path: &Option<Path>) -> String {
    let Some(path) = path else {
        return "none".to_owned();
    };
    let hops: Vec<String> = path
        .hops
        .iter()
        .map(|hop| hop.short().to_string())
        .collect();
    hops.join(" ")
}

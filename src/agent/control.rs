//! The control task: feeds the routing core, does what it says, publishes the mesh as it changes.
//!
//! ```text
//! link events ─┐             ┌─► control messages to neighbours
//! path errors ─┼─► Core ─────┼─► links to end
//! timer ───────┘             └─► Mesh (watch) ─► sessions, ingress, API
//! ```
//!
//! There is one such task per agent and it owns the core. It ends with the agent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::yield_now;
use tokio::time::sleep_until;
use tracing::{error, warn};

use super::authority::MeshAuthority;
use super::events::EventLog;
use super::prefixes::PrefixBuilder;
use crate::clock::{self, unix_ms};
use crate::forward::{Fib, PathErrorReport};
use crate::identity::{AgentId, store_epoch};
use crate::link::{DownReason, LinkEvent, Links, Standstill};
use crate::record::StreamTable;
use crate::routing::{
    Alarm, Avoid, Core, Counters, Graph, Lately, LinkMetrics, LinkUp, Mesh, Now, Output, OwnRoutes,
    PathTable, PrefixTable, RouteTable, Shunned,
};
use crate::wire::{ControlMessage, Goodbye, PathError};

/// Events taken before the mesh is published anew, so that a burst costs one computation: so many, or as
/// many as this time allows. Packets and heartbeats wait meanwhile.
const BURST: usize = 256;
const TURN: Duration = Duration::from_millis(5);

/// Longest time between two wakes of the core, whatever else happens: nothing else tells that the
/// wall clock was set. Ten times rarer than the heartbeats of one link.
const IDLE: Duration = Duration::from_secs(1);

/// A request to the control task.
pub(super) enum Command {
    /// Advertise these routes instead of what was advertised so far.
    Routes(OwnRoutes),
    /// Others are to prefer any other way, or not any more.
    Draining(bool),
    /// Judge anew what certificates prove.
    TrustChanged,
    /// Answer, which takes a loop that turns.
    Answer(oneshot::Sender<()>),
    /// Withdraw everything, say goodbye to all neighbours, and answer.
    Leave {
        reason: String,
        done: oneshot::Sender<()>,
    },
}

/// What the control task owns.
pub(super) struct Control {
    pub(super) own: AgentId,
    pub(super) core: Core<MeshAuthority>,
    pub(super) links: Arc<Links>,
    pub(super) standstill: Arc<Standstill>,
    pub(super) fib: Arc<Fib>,
    pub(super) max_hops: u8,
    pub(super) events: mpsc::Receiver<LinkEvent>,
    pub(super) log: EventLog,
    pub(super) reports: mpsc::Receiver<PathErrorReport>,
    pub(super) commands: mpsc::Receiver<Command>,
    /// Path errors about our own packets, to the sessions.
    pub(super) path_errors: broadcast::Sender<(AgentId, PathError)>,
    pub(super) mesh: watch::Sender<Arc<Mesh>>,
    /// What became of the advertisements seen so far, for the metrics.
    pub(super) counters: Arc<Mutex<Counters>>,
    /// What had a route lately. Present: this agent is an ingress, whose requests wait.
    pub(super) lately: Option<Arc<Mutex<Lately>>>,
    /// Where the epoch is kept; `None`: it is not.
    pub(super) data_dir: Option<PathBuf>,
    /// Present: this agent is an exit, and these are its streams.
    pub(super) load: Option<Arc<StreamTable>>,
    pub(super) suspects: BTreeMap<AgentId, Option<Instant>>,
    /// From the sessions: what may be to blame for a path that failed end to end.
    pub(super) failed_paths: mpsc::Receiver<Avoid>,
    /// The same, as long as it counts.
    pub(super) shunned: Shunned,
    /// The half of the route table that changes with links is out of date.
    pub(super) topology_changed: bool,
    /// Builds the other half.
    pub(super) prefixes: PrefixBuilder,
}

impl Control {
    /// Runs until the agent drops its ends of the channels.
    pub(super) async fn run(mut self) {
        // What the core found while it was set up.
        self.flush();
        self.publish(None);
        // Kept over events: they must not put it off for ever.
        let mut idle = clock::now() + IDLE;
        loop {
            let shunned = self.shunned.poll_timeout();
            let timers = [
                self.core.poll_timeout(),
                shunned,
                self.prefixes.poll_timeout(),
            ];
            let due = timers.into_iter().flatten().min();
            let wake = due.map_or(idle, |due| due.min(idle));
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => self.handle_events(event),
                    None => return,
                },
                Some(report) = self.reports.recv() => self.handle_report(report),
                Some(blamed) = self.failed_paths.recv() => {
                    self.topology_changed |= self.shunned.handle_failed(clock::now(), blamed);
                }
                built = self.prefixes.built() => self.publish(Some(built)),
                command = self.commands.recv() => match command {
                    Some(command) => self.handle_command(command),
                    None => return,
                },
                () = sleep_until(wake.into()) => {
                    self.core.handle_timeout(now());
                    self.topology_changed |= self.shunned.handle_timeout(clock::now());
                    idle = clock::now() + IDLE;
                }
            }
            if let Some(streams) = &self.load {
                let count = u32::try_from(streams.count()).unwrap_or(u32::MAX);
                self.core.handle_load(now(), count);
            }
            self.flush();
            self.prefixes.start(|| self.core.signed_routes());
            if self.topology_changed {
                self.publish(None);
            }
            *self.counters.lock().expect("no panic while locked") = self.core.counters().clone();
            if !self.events.is_empty() {
                // They would be taken at once, before anything else that waits.
                yield_now().await;
            }
        }
    }

    fn handle_events(&mut self, first: LinkEvent) {
        let start = clock::now();
        self.handle_event(first);
        for _ in 1..BURST {
            if clock::since(start) >= TURN {
                return;
            }
            match self.events.try_recv() {
                Ok(event) => self.handle_event(event),
                Err(_) => return,
            }
        }
    }

    fn handle_event(&mut self, event: LinkEvent) {
        self.log.note(&event);
        let now = now();
        match event {
            LinkEvent::Up {
                neighbor,
                cost,
                rtt,
                mtu,
                epoch,
                stood_still,
            } => {
                self.suspect(neighbor, false);
                if stood_still {
                    self.core.handle_standstill(now, neighbor);
                }
                // A link that replaces a live one proves nothing: who is shunned may dial at will.
                if !self.core.is_linked(neighbor) {
                    self.topology_changed |= self.shunned.handle_link_up(neighbor);
                }
                let metrics = LinkMetrics {
                    cost,
                    rtt_us: micros(rtt),
                    mtu,
                };
                self.core.handle_link_up(
                    now,
                    LinkUp {
                        neighbor,
                        metrics,
                        peer_epoch: epoch,
                    },
                );
            }
            LinkEvent::Measured { neighbor, rtt, mtu } => {
                self.core
                    .handle_link_metrics(now, neighbor, micros(rtt), mtu);
            }
            LinkEvent::Suspect { neighbor, on } => self.suspect(neighbor, on),
            LinkEvent::Down { neighbor, reason } => {
                self.suspect(neighbor, false);
                self.core.handle_link_down(now, neighbor);
                if reason.fits_standstill() && self.standstill.just_woke() {
                    self.core.handle_standstill(now, neighbor);
                }
            }
            LinkEvent::Message { from, message } => self.core.handle_message(now, from, message),
            LinkEvent::PathError { from, error } => {
                // No session is there to listen: the error is about one that has ended.
                let _ = self.path_errors.send((from, error));
            }
        }
    }

    /// New paths keep away from a link that has fallen silent.
    fn suspect(&mut self, neighbor: AgentId, on: bool) {
        self.topology_changed |= on != self.suspects.contains_key(&neighbor);
        if on {
            let link = self.fib.by_neighbor(neighbor.short());
            let heard = link.and_then(|link| self.fib.last_heard(&link));
            self.suspects.insert(neighbor, heard);
        } else {
            self.suspects.remove(&neighbor);
        }
    }

    fn handle_report(&mut self, report: PathErrorReport) {
        let mut back = report.back.into_iter();
        let Some(previous) = back.next().and_then(|hop| self.fib.by_neighbor(hop)) else {
            return;
        };
        let error = PathError {
            reporter: self.own,
            next_hop: report.next_hop,
            destination: report.destination,
            back: back.collect(),
        };
        self.links
            .send_if_room(previous.neighbor, ControlMessage::PathError(error));
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Routes(routes) => self.core.handle_routes(now(), routes),
            Command::Draining(on) => self.core.handle_draining(now(), on),
            Command::TrustChanged => self.core.handle_trust_changed(now()),
            Command::Answer(answer) => {
                // Whoever asked may have gone.
                let _ = answer.send(());
            }
            Command::Leave { reason, done } => {
                self.links.close();
                self.core.handle_shutdown(now());
                self.flush();
                for neighbor in self.links.live() {
                    let goodbye = Goodbye {
                        reason: reason.clone(),
                    };
                    self.links.send(neighbor, ControlMessage::Goodbye(goodbye));
                    self.links.disconnect(neighbor, DownReason::Stopping);
                }
                // Nobody waits any more: the agent was dropped.
                let _ = done.send(());
            }
        }
    }

    fn flush(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Send { to, message } => self.links.send(to, message),
                Output::Disconnect { neighbor, reason } => {
                    warn!(%neighbor, %reason, "neighbour convicted");
                    let reason = DownReason::Violation(reason.to_string());
                    self.links.disconnect(neighbor, reason);
                }
                Output::TopologyChanged => self.topology_changed = true,
                Output::RoutesChanged => self.prefixes.handle_changed(),
                Output::EpochAdvanced(epoch) => self.keep_epoch(epoch),
                Output::Alarm(alarm) => {
                    raise(&alarm);
                    self.log.note_alarm(&alarm);
                }
            }
        }
    }

    /// Writes the epoch aside: the disk may be slow, and the next start reads it at the earliest.
    fn keep_epoch(&self, epoch: u64) {
        let Some(data_dir) = self.data_dir.clone() else {
            return;
        };
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store_epoch(&data_dir, epoch) {
                warn!(%error, "the epoch is not kept");
            }
        });
    }

    /// Swaps in what changed: a prefix table that was built, and the paths if links changed.
    fn publish(&mut self, built: Option<Arc<PrefixTable>>) {
        let current = self.mesh.borrow().clone();
        let topology_changed = std::mem::take(&mut self.topology_changed);
        let paths = match topology_changed {
            true => {
                let paths = Arc::new(self.path_table());
                let before = current.table.path_table().graph();
                self.log.departed.handle_change(before, paths.graph());
                paths
            }
            false => current.table.path_table().clone(),
        };
        let prefixes = built.unwrap_or_else(|| current.table.prefix_table().clone());
        let incarnations: BTreeMap<AgentId, u64> = self
            .core
            .link_advs()
            .map(|adv| (adv.stamp.origin, adv.stamp.incarnation))
            .collect();
        let table = RouteTable::new(prefixes, paths);
        if let Some(lately) = &self.lately {
            let mut lately = lately.lock().expect("no panic while locked");
            lately.handle_change(clock::now(), &current.table, &table);
        }
        self.mesh.send_replace(Arc::new(Mesh {
            table,
            incarnations,
            suspects: self.suspects.clone(),
            duplicate_identity: self.core.duplicate_identity(),
        }));
    }

    fn path_table(&self) -> PathTable {
        let graph = Arc::new(Graph::build(self.own, self.core.link_advs()));
        let mut avoid = self.shunned.avoid();
        for suspect in self.suspects.keys() {
            avoid.insert_link(self.own, *suspect);
        }
        PathTable::build(graph, self.max_hops, avoid)
    }
}

fn raise(alarm: &Alarm) {
    match alarm {
        Alarm::DuplicateIdentity { .. } => error!("{alarm}"),
        Alarm::ClockSkew { .. }
        | Alarm::ClockSet { .. }
        | Alarm::RouteNotGranted { .. }
        | Alarm::TooManyRoutes { .. }
        | Alarm::TooManyNeighbors { .. }
        | Alarm::OwnCertificate(_)
        | Alarm::NotGranted { .. } => warn!("{alarm}"),
    }
}

fn now() -> Now {
    Now {
        instant: clock::now(),
        unix_ms: unix_ms(),
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

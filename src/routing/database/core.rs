//! The control plane of one agent: floods signed link state, keeps the database, issues its own
//! advertisements. Inputs by `handle_*`, then outputs by [`Core::poll_output`] until there is none,
//! then [`Core::poll_timeout`]. Owns no task, no socket and no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::adjacency::{Adjacency, Input, Tell};
use super::authority::Authority;
use super::contest::Contest;
use super::counters::{Counters, MessageDrop};
use super::db::Database;
use super::output::{Alarm, Outbox, Output};
use super::own::Own;
use super::session::Session;
use super::settings::{LinkUp, Settings};
use super::time::{BATCH, Now, RUSH};
use super::told::Told;
use crate::identity::AgentId;
use crate::wire::ControlMessage;

/// Longest time between two sweeps for what has expired: certificates end by the wall clock, which
/// may be set.
const LONGEST_SWEEP: Duration = Duration::from_secs(60);

/// One agent's control plane.
pub struct Core<A: Authority> {
    pub(super) settings: Settings,
    pub(super) authority: A,
    pub(super) db: Database,
    pub(super) sessions: BTreeMap<AgentId, Session>,
    pub(super) adjacencies: BTreeMap<AgentId, Adjacency>,
    pub(super) own: Own,
    pub(super) contest: Contest,
    pub(super) out: Outbox,
    pub(super) counters: Counters,
    pub(super) sweep_at: Instant,
    /// When to look for adjacencies that are held though they are the only way, and when that was
    /// last done: at most once in [`RUSH`].
    pub(super) sole_ways_at: Option<Instant>,
    pub(super) sole_ways_seen: Option<Instant>,
    /// Hops that the farthest stored object took to here, or more: found anew by every sweep.
    pub(super) farthest: u8,
    /// When a person was last told of a clock skew (of which agent), a refused route, too many
    /// neighbours.
    pub(super) skew_told: Told,
    pub(super) refusal_told: Option<Instant>,
    pub(super) limit_told: Option<Instant>,
}

impl<A: Authority> Core<A> {
    /// A core without links or routes. Issues its first link advertisement at once.
    pub fn new(now: Now, settings: Settings, authority: A) -> Self {
        let mut core = Self {
            own: Own::new(now, &settings, &authority.certificate()),
            settings,
            authority,
            db: Database::default(),
            sessions: BTreeMap::new(),
            adjacencies: BTreeMap::new(),
            contest: Contest::default(),
            out: Outbox::default(),
            counters: Counters::default(),
            sweep_at: now.instant + LONGEST_SWEEP,
            sole_ways_at: None,
            sole_ways_seen: None,
            farthest: 0,
            skew_told: Told::default(),
            refusal_told: None,
            limit_told: None,
        };
        core.admit_self(now);
        core.issue_all(now);
        core
    }

    /// A control session with a neighbour is established. One that replaces another needs no
    /// `handle_link_down` in between.
    pub fn handle_link_up(&mut self, now: Now, link: LinkUp) {
        let neighbor = link.neighbor;
        if neighbor == self.settings.id {
            self.raise_duplicate(now, link.peer_epoch, false);
            return;
        }
        self.heed_clock(now);
        self.sessions.remove(&neighbor);
        let slot = self.free_slot();
        self.db.clear_slot(slot);
        let session = Session::new(now.instant, slot, link.peer_epoch, &self.settings.limits);
        self.sessions.insert(neighbor, session);
        self.adjacency_input(now, neighbor, Input::Up(link.metrics));
        self.plan_release(now);
        self.issue_due(now);
        self.send_digest(now, neighbor);
    }

    /// The link's measurements changed.
    pub fn handle_link_metrics(&mut self, now: Now, neighbor: AgentId, rtt_us: u64, mtu: u16) {
        self.adjacency_input(now, neighbor, Input::Metrics { rtt_us, mtu });
        self.issue_due(now);
    }

    /// The link is dead or closed. Floods at once.
    pub fn handle_link_down(&mut self, now: Now, neighbor: AgentId) {
        self.sessions.remove(&neighbor);
        self.adjacency_input(now, neighbor, Input::Down);
        self.plan_release(now);
        self.issue_due(now);
    }

    /// The link with `neighbor` that went down last did so because one of us stood still.
    pub fn handle_standstill(&mut self, now: Now, neighbor: AgentId) {
        self.adjacency_input(now, neighbor, Input::Pardon);
    }

    /// A neighbour said something. Messages that are the link's own are ignored.
    pub fn handle_message(&mut self, now: Now, from: AgentId, message: ControlMessage) {
        let Some(session) = self.sessions.get_mut(&from) else {
            return self.counters.count_drop(MessageDrop::NoSession);
        };
        if session.convicted {
            return self.counters.count_drop(MessageDrop::NoSession);
        }
        if !session.bytes.take(now.instant, message.wire_bytes() as u64) {
            return self.counters.count_drop(MessageDrop::ByteRate);
        }
        match message {
            ControlMessage::Flood(flood) => self.receive_flood(now, from, flood),
            ControlMessage::Digest(digest) => self.receive_digest(now, from, &digest),
            ControlMessage::BucketSummary(summary) => self.receive_summary(now, from, &summary),
            ControlMessage::Request(request) => self.receive_request(now, from, &request),
            ControlMessage::Hello(_)
            | ControlMessage::Token(_)
            | ControlMessage::PathError(_)
            | ControlMessage::Goodbye(_) => {}
        }
        if self.out.is_topology_changed() {
            self.plan_release(now);
        }
        self.issue_due(now);
    }

    /// Starts or ends asking others to prefer any other way.
    pub fn handle_draining(&mut self, now: Now, draining: bool) {
        if self.own.set_draining(draining) {
            self.own.want_link(now.instant);
        }
        self.issue_due(now);
    }

    /// Time passed: call at [`poll_timeout`](Self::poll_timeout) or later, and every now and then
    /// in between, because nothing else tells that the wall clock was set.
    pub fn handle_timeout(&mut self, now: Now) {
        self.heed_clock(now);
        let held: Vec<AgentId> = self
            .adjacencies
            .iter()
            .filter(|(_, adjacency)| {
                adjacency
                    .held_until()
                    .is_some_and(|until| until <= now.instant)
            })
            .map(|(id, _)| *id)
            .collect();
        for neighbor in held {
            self.adjacency_input(now, neighbor, Input::Tick);
        }
        if self.sweep_at <= now.instant {
            self.sweep(now);
            if self.out.is_topology_changed() {
                self.plan_release(now);
            }
        }
        if self.sole_ways_at.is_some_and(|at| at <= now.instant) {
            self.release_sole_ways(now);
        }
        self.refresh_due(now);
        self.issue_due(now);
        let due: Vec<AgentId> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.next_digest <= now.instant)
            .map(|(id, _)| *id)
            .collect();
        for neighbor in due {
            self.send_digest(now, neighbor);
        }
    }

    /// The next thing to do. Poll until `None` after every input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next needed, whatever else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let held = self.adjacencies.values().filter_map(Adjacency::held_until);
        let digests = self.sessions.values().map(|session| session.next_digest);
        held.chain(digests)
            .chain(self.own.next_due())
            .chain(self.contest.move_due())
            .chain(self.sole_ways_at)
            .chain([self.sweep_at])
            .min()
    }

    pub(super) fn adjacency_input(&mut self, now: Now, neighbor: AgentId, input: Input) {
        let adjacency = self
            .adjacencies
            .entry(neighbor)
            .or_insert_with(Adjacency::new);
        match adjacency.handle(now.instant, input) {
            Tell::Nothing => {}
            Tell::AtOnce => self.own.want_link_at_once(now.instant, RUSH),
            Tell::Soon => self.own.want_link_after(now.instant, RUSH),
            Tell::Batched => self.own.want_link_after(now.instant, BATCH),
        }
    }

    fn free_slot(&self) -> usize {
        let mut taken: Vec<usize> = self.sessions.values().map(|session| session.slot).collect();
        taken.sort_unstable();
        let free = taken.iter().enumerate().find(|(index, slot)| index < slot);
        free.map_or(taken.len(), |(index, _)| index)
    }

    /// Removes what is void and sets the time of the next sweep.
    fn sweep(&mut self, now: Now) {
        let kept = self.own.is_speaking().then_some(self.settings.id);
        let (change, next) = self.db.remove_void(now, kept);
        self.out.changed(change);
        self.farthest = self.db.farthest();
        self.adjacencies
            .retain(|_, adjacency| !adjacency.is_forgotten(now.instant));
        self.sweep_at = now.instant + LONGEST_SWEEP;
        if let Some(next) = next {
            self.sweep_before(now, next);
        }
        self.contest.disputed_until = self
            .contest
            .disputed_until
            .filter(|until| *until > now.instant);
        self.resume_if_alone(now);
    }

    /// Makes sure that a sweep comes when the object that is void after `left` is.
    pub(super) fn sweep_before(&mut self, now: Now, left: Duration) {
        if left < LONGEST_SWEEP {
            self.sweep_at = self.sweep_at.min(now.instant + left);
        }
    }

    pub(super) fn alarm(&mut self, alarm: Alarm) {
        self.out.push(Output::Alarm(alarm));
    }
}

#[cfg(test)]
mod tests;

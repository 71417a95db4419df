//! Which link is kept with each neighbour, and what is known of every peer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::event::DownReason;
use crate::identity::{AgentId, Credential};
use crate::routing::LinkState;
use crate::wire::ControlMessage;

/// Numbers links, so that the end of an old one is never taken for the end of its successor.
pub(super) type LinkNumber = u64;

/// What is known of a live link.
#[derive(Clone, Debug)]
pub struct LinkInfo {
    pub display_name: String,
    pub remote: SocketAddr,
    /// We dialled it.
    pub dialled: bool,
    pub state: LinkState,
    pub cost: u32,
    pub rtt: Duration,
    /// Largest UDP payload known to pass, bytes; 0 while unknown.
    pub mtu: u16,
    pub since: Instant,
    /// The neighbour's epoch: when its process started, unix milliseconds.
    pub epoch: u64,
}

/// A configured peer or a live neighbour.
#[derive(Clone, Debug, Default)]
pub struct PeerStatus {
    /// The address that the file names; `None` for a neighbour that dialled us.
    pub configured: Option<String>,
    pub live: Option<LinkInfo>,
    /// What it called itself when it was linked last.
    pub display_name: Option<String>,
    /// Why the last attempt or link ended.
    pub last_error: Option<String>,
    /// Attempts since the peer was last reached.
    pub attempts: u32,
}

/// A link that asks to be kept.
pub(super) struct Candidate {
    pub(super) neighbor: AgentId,
    pub(super) dialled: bool,
    pub(super) outgoing: mpsc::Sender<ControlMessage>,
    /// Ends the driver of this link.
    pub(super) end: watch::Sender<Option<DownReason>>,
    /// Of the certificate that the neighbour showed.
    pub(super) credential: Credential,
    pub(super) info: LinkInfo,
}

struct Live {
    number: LinkNumber,
    epoch: u64,
    dialled: bool,
    outgoing: mpsc::Sender<ControlMessage>,
    end: watch::Sender<Option<DownReason>>,
    credential: Credential,
}

/// Every live link and configured peer. Shared by dial and accept tasks, drivers and the API.
pub struct Links {
    own: AgentId,
    limit: usize,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    next: LinkNumber,
    /// The agent leaves: no further link is kept.
    closed: bool,
    live: BTreeMap<AgentId, Live>,
    peers: BTreeMap<AgentId, PeerStatus>,
}

impl State {
    fn keeps(&self, neighbor: AgentId, number: LinkNumber) -> bool {
        let live = self.live.get(&neighbor);
        live.is_some_and(|live| live.number == number)
    }

    /// Neighbours that dialled us and have gone: strangers with many keys would fill memory.
    fn forget_strangers(&mut self) {
        self.peers
            .retain(|_, status| status.configured.is_some() || status.live.is_some());
    }
}

/// What became of a candidate.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Kept(LinkNumber),
    /// Both sides dialled and the other link is the one to keep.
    Duplicate,
    /// `limits.links` are live.
    Full,
    /// The agent leaves.
    Closed,
}

impl Links {
    /// No links; at most `limit` later.
    pub fn new(own: AgentId, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            own,
            limit,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    /// Keeps no further link, dialled or accepted: a neighbour that was told goodbye must not find
    /// its way back to an agent that is about to end.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.send_replace(());
    }

    /// Whether [`close`](Self::close) was called.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Names a peer from the file, so that it is listed while it is down.
    pub fn configure(&self, peer: AgentId, address: String) {
        self.lock().peers.entry(peer).or_default().configured = Some(address);
    }

    /// The opposite: the file names the peer no more. The link that we dialled ends; one that it dialled
    /// lives on.
    pub fn forget(&self, peer: AgentId) {
        let mut state = self.lock();
        if let Some(status) = state.peers.get_mut(&peer) {
            status.configured = None;
        }
        if let Some(live) = state.live.get(&peer)
            && live.dialled
        {
            live.end.send_replace(Some(DownReason::Removed));
        }
        state.forget_strangers();
        drop(state);
        self.changed.send_replace(());
    }

    /// Makes everybody look again who waits for a link to come or go.
    pub fn wake(&self) {
        self.changed.send_replace(());
    }

    /// Decides whether `candidate` becomes the link with its neighbour.
    ///
    /// Against a live link with the same neighbour it wins if the neighbour restarted since (its
    /// epoch differs), if the same side dialled both (it dials again only after losing the
    /// first), or if it is the one that the agent with the lower id dialled. Both ends decide
    /// alike, whatever order they see the links in.
    pub(super) fn admit(&self, candidate: Candidate) -> Verdict {
        let mut state = self.lock();
        if state.closed {
            return Verdict::Closed;
        }
        match state.live.get(&candidate.neighbor) {
            None if state.live.len() >= self.limit => return Verdict::Full,
            None => {}
            Some(live) => {
                let by_lower = candidate.dialled == (self.own < candidate.neighbor);
                let wins = live.epoch != candidate.info.epoch
                    || live.dialled == candidate.dialled
                    || by_lower;
                if !wins {
                    return Verdict::Duplicate;
                }
                live.end.send_replace(Some(DownReason::Replaced));
            }
        }
        state.next += 1;
        let number = state.next;
        let status = state.peers.entry(candidate.neighbor).or_default();
        status.attempts = 0;
        status.last_error = None;
        status.display_name = Some(candidate.info.display_name.clone());
        let epoch = candidate.info.epoch;
        status.live = Some(candidate.info);
        state.live.insert(
            candidate.neighbor,
            Live {
                number,
                epoch,
                dialled: candidate.dialled,
                outgoing: candidate.outgoing,
                end: candidate.end,
                credential: candidate.credential,
            },
        );
        drop(state);
        self.changed.send_replace(());
        Verdict::Kept(number)
    }

    /// Does `then` while the link is the one kept with `neighbor`; nothing if it is not. Links come
    /// and go before or after, never meanwhile: `then` must be short and not use this table.
    pub(super) fn while_kept(
        &self,
        neighbor: AgentId,
        number: LinkNumber,
        then: impl FnOnce(),
    ) -> bool {
        let state = self.lock();
        let kept = state.keeps(neighbor, number);
        if kept {
            then();
        }
        kept
    }

    /// Takes a link out and does `then` in the same step, under the rule of
    /// [`while_kept`](Self::while_kept); `false` if another has replaced it, so that nothing went
    /// down.
    pub(super) fn remove(
        &self,
        neighbor: AgentId,
        number: LinkNumber,
        why: &str,
        then: impl FnOnce(),
    ) -> bool {
        let mut state = self.lock();
        if !state.keeps(neighbor, number) {
            return false;
        }
        then();
        state.live.remove(&neighbor);
        if let Some(status) = state.peers.get_mut(&neighbor) {
            status.live = None;
            status.last_error = Some(why.to_owned());
        }
        state.forget_strangers();
        drop(state);
        self.changed.send_replace(());
        true
    }

    /// Updates what is known of a live link.
    pub(super) fn update(
        &self,
        neighbor: AgentId,
        number: LinkNumber,
        change: impl FnOnce(&mut LinkInfo),
    ) {
        let mut state = self.lock();
        if state.keeps(neighbor, number)
            && let Some(info) = state
                .peers
                .get_mut(&neighbor)
                .and_then(|status| status.live.as_mut())
        {
            change(info);
        }
    }

    /// Notes a failed attempt to reach a configured peer.
    pub(super) fn note_failure(&self, peer: AgentId, attempts: u32, why: String) {
        if let Some(status) = self.lock().peers.get_mut(&peer) {
            status.attempts = attempts;
            status.last_error = Some(why);
        }
    }

    /// Queues a control message for a neighbour. A neighbour whose queue is full loses its link.
    pub fn send(&self, to: AgentId, message: ControlMessage) {
        let state = self.lock();
        if let Some(live) = state.live.get(&to)
            && let Err(mpsc::error::TrySendError::Full(_)) = live.outgoing.try_send(message)
        {
            live.end.send_replace(Some(DownReason::Behind));
        }
    }

    /// Queues a message that may be lost, unless the neighbour is behind already. For messages that
    /// others make us send: they must not cost a neighbour its link.
    pub fn send_if_room(&self, to: AgentId, message: ControlMessage) {
        let state = self.lock();
        if let Some(live) = state.live.get(&to)
            && live.outgoing.capacity() * 2 > live.outgoing.max_capacity()
        {
            // Checked for room just now; a closed queue belongs to a link that is ending.
            let _ = live.outgoing.try_send(message);
        }
    }

    /// Ends the link with `neighbor`, if there is one.
    pub fn disconnect(&self, neighbor: AgentId, reason: DownReason) {
        if let Some(live) = self.lock().live.get(&neighbor) {
            live.end.send_replace(Some(reason));
        }
    }

    /// Ends every link for whose certificate `judge` has a reason.
    pub fn disconnect_where(&self, judge: impl Fn(&Credential) -> Option<DownReason>) {
        for live in self.lock().live.values() {
            // One that is ending is told once.
            if live.end.borrow().is_none()
                && let Some(reason) = judge(&live.credential)
            {
                live.end.send_replace(Some(reason));
            }
        }
    }

    /// Ids of all live neighbours.
    pub fn live(&self) -> Vec<AgentId> {
        self.lock().live.keys().copied().collect()
    }

    /// Whether a link with `neighbor` is live.
    pub fn is_live(&self, neighbor: AgentId) -> bool {
        self.lock().live.contains_key(&neighbor)
    }

    /// Every configured peer and live neighbour.
    pub fn snapshot(&self) -> BTreeMap<AgentId, PeerStatus> {
        self.lock().peers.clone()
    }

    /// Signals each time that a link comes or goes.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }
}

#[cfg(test)]
mod tests;

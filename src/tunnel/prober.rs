//! Where path probes arrive: replies go to the session that asked, probes are answered and tell
//! the accepting side which way back to use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::outlet::{Outlet, Outlets};
use super::packet::send_along;
use super::probe::{Probe, ProbeKey};
use crate::forward::{DropReason, Fib, Inbox};
use crate::identity::ShortId;
use crate::wire::packet::{Header, PacketType};

/// Replies that a session has not looked at yet; more are dropped, the next probe follows soon.
const REPLIES: usize = 16;

/// All sessions that send or answer probes.
pub(super) struct Prober {
    fib: Arc<Fib>,
    sessions: Mutex<HashMap<u64, Session>>,
}

enum Session {
    Opened {
        key: Arc<ProbeKey>,
        exit: ShortId,
        replies: mpsc::Sender<u64>,
    },
    Accepted {
        key: Arc<ProbeKey>,
        ingress: ShortId,
        outlets: Arc<Outlets>,
        /// Highest sequence of an active probe: older ones are late or replayed.
        seen: u64,
        kick: Arc<dyn Fn() + Send + Sync>,
    },
}

impl Prober {
    pub(super) fn new(fib: Arc<Fib>) -> Arc<Self> {
        Arc::new(Self {
            fib,
            sessions: Mutex::default(),
        })
    }

    /// Registers a session that this side opened; the sequences of its answered probes arrive on
    /// the channel.
    pub(super) fn register_opened(&self, key: Arc<ProbeKey>, exit: ShortId) -> mpsc::Receiver<u64> {
        let (replies, receiver) = mpsc::channel(REPLIES);
        let session = Session::Opened {
            key: key.clone(),
            exit,
            replies,
        };
        self.lock().insert(key.tag, session);
        receiver
    }

    /// Registers a session that this side accepted. `kick` is called when its path changes.
    pub(super) fn register_accepted(
        &self,
        key: Arc<ProbeKey>,
        ingress: ShortId,
        outlets: Arc<Outlets>,
        kick: Arc<dyn Fn() + Send + Sync>,
    ) {
        let session = Session::Accepted {
            key: key.clone(),
            ingress,
            outlets,
            seen: 0,
            kick,
        };
        self.lock().insert(key.tag, session);
    }

    /// Forgets a session; `true` if it was the last with its peer on that side.
    pub(super) fn unregister(&self, key: &ProbeKey) -> bool {
        let mut sessions = self.lock();
        let Some(gone) = sessions.remove(&key.tag) else {
            return false;
        };
        !sessions.values().any(|other| match (&gone, other) {
            (Session::Opened { exit, .. }, Session::Opened { exit: other, .. }) => exit == other,
            (Session::Accepted { ingress, .. }, Session::Accepted { ingress: other, .. }) => {
                ingress == other
            }
            (Session::Opened { .. }, Session::Accepted { .. })
            | (Session::Accepted { .. }, Session::Opened { .. }) => false,
        })
    }

    /// Sends a probe along `hops`.
    pub(super) fn send(&self, key: &ProbeKey, hops: &[ShortId], probe: Probe) {
        self.transmit(PacketType::Probe, key, hops, probe);
    }

    /// Handles what arrives in `inbox` until aborted.
    pub(super) async fn receive(self: Arc<Self>, inbox: Arc<Inbox>) {
        loop {
            let delivery = inbox.pop().await;
            let header = delivery.header();
            for payload in delivery.payloads() {
                let Some(probe) = Probe::parse(payload) else {
                    self.fib.metrics.dropped(DropReason::Malformed, 1);
                    continue;
                };
                if !self.handle(&header, probe, payload) {
                    self.fib.metrics.dropped(DropReason::Probe, 1);
                }
            }
        }
    }

    /// `false` if the probe proves nothing.
    fn handle(&self, header: &Header<'_>, probe: Probe, payload: &[u8]) -> bool {
        let mut sessions = self.lock();
        match (header.packet_type(), sessions.get_mut(&probe.tag)) {
            (PacketType::ProbeReply, Some(Session::Opened { key, exit, replies })) => {
                if header.source() != *exit || !key.verify(header, payload) {
                    return false;
                }
                // Full: the session will probe again.
                let _ = replies.try_send(probe.sequence);
                true
            }
            (
                PacketType::Probe,
                Some(Session::Accepted {
                    key,
                    ingress,
                    outlets,
                    seen,
                    kick,
                }),
            ) => {
                if header.source() != *ingress || !key.verify(header, payload) {
                    return false;
                }
                let back = header.reverse();
                let reply = (key.clone(), probe);
                // A probe of the backup may overtake one of the active path; each is answered, but
                // only the newest active one decides.
                let newest = probe.active && probe.sequence > *seen;
                if newest {
                    *seen = probe.sequence;
                }
                let moved = newest && answer_along(outlets, self.fib.own, *ingress, &back);
                let kick = moved.then(|| kick.clone());
                drop(sessions);
                self.transmit(PacketType::ProbeReply, &reply.0, &back, reply.1);
                if let Some(kick) = kick {
                    kick();
                }
                true
            }
            _ => false,
        }
    }

    fn transmit(&self, kind: PacketType, key: &ProbeKey, hops: &[ShortId], probe: Probe) {
        send_along(&self.fib, kind, hops, |header| key.seal(header, probe));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Session>> {
        self.sessions.lock().expect("no panic while locked")
    }
}

/// Makes `back` the verified way to `ingress`; `true` if it replaces another verified way.
fn answer_along(outlets: &Outlets, own: ShortId, ingress: ShortId, back: &[ShortId]) -> bool {
    let current = outlets.active(ingress);
    if current.as_ref().is_some_and(|active| active.hops() == back) {
        return false;
    }
    let outlet = Outlet::new(PacketType::ToIngress, own, back);
    outlets.set(ingress, outlet, None);
    current.is_some()
}

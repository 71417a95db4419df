//! Where path probes arrive: each is checked and handed to the session it belongs to; those of an
//! ingress are answered at once, along their reverse.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::packet::send_along;
use super::probe::{Probe, ProbeKey};
use crate::forward::{DropReason, Fib, Inbox};
use crate::identity::ShortId;
use crate::wire::packet::{Header, PacketType};

/// Probes that a session has not looked at yet; more are dropped, the next one follows soon.
const QUEUED: usize = 16;

/// All sessions that send or answer probes.
pub(super) struct Prober {
    fib: Arc<Fib>,
    sessions: Mutex<HashMap<u64, Session>>,
}

/// What an opened session hears.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The probe of this sequence was answered.
    Reply(u64),
    /// The exit doubts the path that it answers along.
    PeerDoubts,
}

/// A probe that an accepted session was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) probe: Probe,
    /// The way it came, backwards: each hop, the ingress last.
    pub(super) back: Vec<ShortId>,
}

enum Session {
    Opened {
        key: Arc<ProbeKey>,
        exit: ShortId,
        answers: mpsc::Sender<Answer>,
        /// Highest sequence of the exit's signals: older ones are late or replayed.
        seen: u64,
    },
    Accepted {
        key: Arc<ProbeKey>,
        ingress: ShortId,
        asked: mpsc::Sender<Asked>,
    },
}

/// What a verified probe leads to.
enum Outcome {
    Nothing,
    /// Send the probe back along the way it came.
    Reply(Arc<ProbeKey>, Vec<ShortId>),
}

impl Prober {
    pub(super) fn new(fib: Arc<Fib>) -> Arc<Self> {
        Arc::new(Self {
            fib,
            sessions: Mutex::default(),
        })
    }

    /// Registers a session that this side opened.
    pub(super) fn register_opened(
        &self,
        key: Arc<ProbeKey>,
        exit: ShortId,
    ) -> mpsc::Receiver<Answer> {
        let (answers, receiver) = mpsc::channel(QUEUED);
        let session = Session::Opened {
            key: key.clone(),
            exit,
            answers,
            seen: 0,
        };
        self.lock().insert(key.tag, session);
        receiver
    }

    /// Registers a session that this side accepted.
    pub(super) fn register_accepted(
        &self,
        key: Arc<ProbeKey>,
        ingress: ShortId,
    ) -> mpsc::Receiver<Asked> {
        let (asked, receiver) = mpsc::channel(QUEUED);
        let session = Session::Accepted {
            key: key.clone(),
            ingress,
            asked,
        };
        self.lock().insert(key.tag, session);
        receiver
    }

    /// Forgets a session.
    pub(super) fn unregister(&self, key: &ProbeKey) {
        self.lock().remove(&key.tag);
    }

    /// Sends a probe with a payload of `size` bytes along `hops`.
    pub(super) fn send(&self, key: &ProbeKey, hops: &[ShortId], probe: Probe, size: usize) {
        let kind = match probe.flags.signal {
            true => PacketType::ProbeReply,
            false => PacketType::Probe,
        };
        self.transmit(kind, key, hops, probe, size);
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
                match self.handle(&header, probe, payload) {
                    Some(Outcome::Nothing) => {}
                    Some(Outcome::Reply(key, back)) => {
                        let kind = PacketType::ProbeReply;
                        self.transmit(kind, &key, &back, probe, payload.len());
                    }
                    None => self.fib.metrics.dropped(DropReason::Probe, 1),
                }
            }
        }
    }

    /// `None` if the probe proves nothing.
    fn handle(&self, header: &Header<'_>, probe: Probe, payload: &[u8]) -> Option<Outcome> {
        let mut sessions = self.lock();
        match (header.packet_type(), sessions.get_mut(&probe.tag)?) {
            (
                PacketType::ProbeReply,
                Session::Opened {
                    key,
                    exit,
                    answers,
                    seen,
                },
            ) if header.source() == *exit && key.verify(header, payload) => {
                let answer = match probe.flags.signal {
                    false => Answer::Reply(probe.sequence),
                    true if probe.sequence > *seen => {
                        *seen = probe.sequence;
                        Answer::PeerDoubts
                    }
                    true => return None,
                };
                // Full: the session will probe again, and the exit signal again.
                let _ = answers.try_send(answer);
                Some(Outcome::Nothing)
            }
            (
                PacketType::Probe,
                Session::Accepted {
                    key,
                    ingress,
                    asked,
                },
            ) if header.source() == *ingress && key.verify(header, payload) => {
                let back = header.reverse();
                // Full: the ingress will probe again.
                let _ = asked.try_send(Asked {
                    probe,
                    back: back.clone(),
                });
                Some(Outcome::Reply(key.clone(), back))
            }
            _ => None,
        }
    }

    fn transmit(
        &self,
        kind: PacketType,
        key: &ProbeKey,
        hops: &[ShortId],
        probe: Probe,
        size: usize,
    ) {
        send_along(&self.fib, kind, hops, |header| {
            key.seal(header, probe, size)
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Session>> {
        self.sessions.lock().expect("no panic while locked")
    }
}

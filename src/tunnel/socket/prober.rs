//! Where path probes arrive: each is checked and handed to the session it belongs to; those of an
//! ingress are answered at once, along their reverse. One that was seen before leads to nothing, so
//! that repeats neither cost answers nor crowd out fresh probes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::packet::send_along;
use super::replay::ReplayWindow;
use crate::clock;
use crate::forward::{DropReason, Fib, Inbox};
use crate::identity::ShortId;
use crate::routing::TokenBucket;
use crate::tunnel::path::probe::{Probe, ProbeKey};
use crate::tunnel::path::{Answer, Asked};
use crate::wire::packet::{Header, PacketType};

/// Probes that a session has not looked at yet; more are dropped, the next one follows soon.
const QUEUED: usize = 16;

/// Probes of one session that are answered: twice what an ingress in haste sends along two paths.
const ANSWERS_PER_SECOND: u64 = 200;

/// All sessions that send or answer probes.
pub(crate) struct Prober {
    fib: Arc<Fib>,
    sessions: Mutex<HashMap<u64, Session>>,
}

enum Session {
    Opened {
        key: Arc<ProbeKey>,
        exit: ShortId,
        answers: mpsc::Sender<Answer>,
        /// Of our own probes, as they come back.
        replies: ReplayWindow,
        /// Highest sequence of the exit's own words: a late one says nothing of now.
        seen: u64,
    },
    Accepted {
        key: Arc<ProbeKey>,
        ingress: ShortId,
        asked: mpsc::Sender<Asked>,
        probes: ReplayWindow,
        /// Of answers, which go ahead of data.
        pace: TokenBucket,
    },
}

/// What a verified probe leads to.
enum Outcome {
    Nothing,
    /// Send the probe back along the way it came.
    Reply(Arc<ProbeKey>, Vec<ShortId>),
}

impl Prober {
    pub(crate) fn new(fib: Arc<Fib>) -> Arc<Self> {
        Arc::new(Self {
            fib,
            sessions: Mutex::default(),
        })
    }

    /// Registers a session that this side opened.
    pub(crate) fn register_opened(
        &self,
        key: Arc<ProbeKey>,
        exit: ShortId,
    ) -> mpsc::Receiver<Answer> {
        let (answers, receiver) = mpsc::channel(QUEUED);
        let session = Session::Opened {
            key: key.clone(),
            exit,
            answers,
            replies: ReplayWindow::default(),
            seen: 0,
        };
        self.lock().insert(key.tag, session);
        receiver
    }

    /// Registers a session that this side accepted.
    pub(crate) fn register_accepted(
        &self,
        key: Arc<ProbeKey>,
        ingress: ShortId,
    ) -> mpsc::Receiver<Asked> {
        let (asked, receiver) = mpsc::channel(QUEUED);
        let session = Session::Accepted {
            key: key.clone(),
            ingress,
            asked,
            probes: ReplayWindow::default(),
            pace: TokenBucket::new(clock::now(), ANSWERS_PER_SECOND),
        };
        self.lock().insert(key.tag, session);
        receiver
    }

    /// Forgets a session.
    pub(crate) fn unregister(&self, key: &ProbeKey) {
        self.lock().remove(&key.tag);
    }

    /// Sends a probe with a payload of `size` bytes along `hops`; of as few as will do, if that is
    /// less.
    pub(crate) fn send(&self, key: &ProbeKey, hops: &[ShortId], probe: Probe, size: usize) {
        let kind = match probe.flags.signal {
            true => PacketType::ProbeReply,
            false => PacketType::Probe,
        };
        self.transmit(kind, key, hops, probe, size);
    }

    /// Handles what arrives in `inbox` until aborted.
    pub(crate) async fn receive(self: Arc<Self>, inbox: Arc<Inbox>) {
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

    /// `None` if the probe proves nothing, or nothing new.
    fn handle(&self, header: &Header<'_>, probe: Probe, payload: &[u8]) -> Option<Outcome> {
        let mut sessions = self.lock();
        match (header.packet_type(), sessions.get_mut(&probe.tag)?) {
            (
                PacketType::ProbeReply,
                Session::Opened {
                    key,
                    exit,
                    answers,
                    replies,
                    seen,
                },
            ) if header.source() == *exit && key.verify(header, payload) => {
                let answer = match probe.flags.signal {
                    false if replies.take(probe.sequence) => Answer::Reply(probe.sequence),
                    true if probe.sequence > *seen => {
                        *seen = probe.sequence;
                        Answer::PeerDoubts
                    }
                    false | true => return None,
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
                    probes,
                    pace,
                },
            ) if header.source() == *ingress && key.verify(header, payload) => {
                if !pace.take(clock::now(), 1) || !probes.take(probe.sequence) {
                    return None;
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tunnel::path::probe::Flags;
    use crate::wire::packet::write_header;

    const INGRESS: ShortId = ShortId(1);
    const EXIT: ShortId = ShortId(3);

    fn prober(own: ShortId) -> (Arc<Prober>, Arc<ProbeKey>) {
        let (fib, _) = Fib::new(own, true);
        (Prober::new(fib), Arc::new(ProbeKey::from_secret(&[5; 40])))
    }

    /// What a probe with that number and flags leads to when it arrives.
    fn arrive(
        prober: &Prober,
        key: &ProbeKey,
        kind: PacketType,
        sequence: u64,
        flags: Flags,
    ) -> Option<Outcome> {
        let (source, last) = match kind {
            PacketType::Probe => (INGRESS, EXIT),
            _ => (EXIT, INGRESS),
        };
        let mut bytes = Vec::new();
        write_header(&mut bytes, kind, 7, source, &[ShortId(2), last]);
        let header = Header::parse(&bytes).unwrap();
        let tag = key.tag;
        let probe = Probe {
            tag,
            sequence,
            flags,
        };
        let payload = key.seal(&header, probe, 100);
        prober.handle(&header, probe, &payload)
    }

    #[tokio::test]
    async fn fresh_probes_without_end_are_answered_at_a_rate() {
        let (prober, key) = prober(EXIT);
        let _asked = prober.register_accepted(key.clone(), INGRESS);
        let mut answered = 0;
        for sequence in 1..=5_000 {
            let outcome = arrive(&prober, &key, PacketType::Probe, sequence, Flags::default());
            answered += u64::from(matches!(outcome, Some(Outcome::Reply(..))));
        }
        // The loop itself takes less than some seconds.
        assert!(
            (100..5 * ANSWERS_PER_SECOND).contains(&answered),
            "{answered}"
        );
    }

    #[tokio::test]
    async fn a_repeated_probe_is_neither_answered_nor_in_a_fresh_ones_way() {
        let (prober, key) = prober(EXIT);
        let mut asked = prober.register_accepted(key.clone(), INGRESS);
        let probe = |sequence| {
            let outcome = arrive(&prober, &key, PacketType::Probe, sequence, Flags::default());
            matches!(outcome, Some(Outcome::Reply(..)))
        };
        assert!(probe(1));
        for _ in 0..2 * QUEUED {
            assert!(!probe(1));
        }
        assert!(probe(3));
        assert!(probe(2), "late, yet new");
        let numbers: Vec<u64> = std::iter::from_fn(|| asked.try_recv().ok())
            .map(|asked| asked.probe.sequence)
            .collect();
        assert_eq!(numbers, [1, 3, 2]);
    }

    #[tokio::test]
    async fn a_reply_counts_once_and_a_word_only_if_it_is_the_latest() {
        let (prober, key) = prober(INGRESS);
        let mut answers = prober.register_opened(key.clone(), EXIT);
        let hear = |sequence, signal| {
            let flags = Flags {
                signal,
                ..Flags::default()
            };
            arrive(&prober, &key, PacketType::ProbeReply, sequence, flags).is_some()
        };
        assert!(hear(2, false) && hear(1, false));
        assert!(!hear(2, false) && !hear(1, false));
        assert!(hear(2, true));
        assert!(!hear(1, true) && !hear(2, true));
        let heard: Vec<Answer> = std::iter::from_fn(|| answers.try_recv().ok()).collect();
        let wanted = [Answer::Reply(2), Answer::Reply(1), Answer::PeerDoubts];
        assert_eq!(heard, wanted);
    }

    #[tokio::test]
    async fn a_forged_probe_uses_up_no_number() {
        let (prober, key) = prober(EXIT);
        let _asked = prober.register_accepted(key.clone(), INGRESS);
        let stranger = ProbeKey::from_secret(&{
            let mut secret = [6; 40];
            secret[..8].copy_from_slice(&key.tag.to_be_bytes());
            secret
        });
        let probe =
            |key: &ProbeKey| arrive(&prober, key, PacketType::Probe, 9, Flags::default()).is_some();
        assert!(!probe(&stranger));
        assert!(probe(&key));
    }
}

//! The probes that a session has on their way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::probe::{Flags, Probe, ProbeKey};
use super::prober::Prober;
use crate::identity::ShortId;

/// Probes on their way that are remembered.
const OUTSTANDING: usize = 128;

/// An answer that takes longer on a short path is missed: as long as a silent link is trusted at
/// the default heartbeat.
const ANSWER: Duration = Duration::from_millis(150);

/// The same on long paths: two round trips and this.
const ANSWER_SLACK: Duration = Duration::from_millis(50);

/// A session's probes, sent and counted.
pub(super) struct Probing {
    prober: Arc<Prober>,
    key: Arc<ProbeKey>,
    /// Bytes of a probe's payload: those of the session's packets.
    size: usize,
    sequence: u64,
    /// Oldest first.
    outstanding: VecDeque<Sent>,
    missed: u64,
}

/// Which path a probe was sent along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Active,
    Backup,
}

/// A probe on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    sequence: u64,
    pub(super) at: Instant,
    pub(super) way: Way,
}

impl Probing {
    /// None yet. A payload has `size` bytes.
    pub(super) fn new(prober: Arc<Prober>, key: Arc<ProbeKey>, size: usize) -> Self {
        Self {
            prober,
            key,
            size,
            sequence: 0,
            outstanding: VecDeque::new(),
            missed: 0,
        }
    }

    /// Sends a probe along `hops`.
    pub(super) fn send(&mut self, now: Instant, hops: &[ShortId], way: Way, doubt: bool) {
        self.sequence += 1;
        let probe = Probe {
            tag: self.key.tag,
            sequence: self.sequence,
            flags: Flags {
                active: way == Way::Active,
                doubt,
                signal: false,
            },
        };
        self.prober.send(&self.key, hops, probe, self.size);
        self.outstanding.push_back(Sent {
            sequence: self.sequence,
            at: now,
            way,
        });
        if self.outstanding.len() > OUTSTANDING {
            self.outstanding.pop_front();
        }
    }

    /// The probe that was answered; older ones of the same path are no longer waited for.
    pub(super) fn handle_reply(&mut self, sequence: u64) -> Option<Sent> {
        let found = |sent: &&Sent| sent.sequence == sequence;
        let answered = *self.outstanding.iter().find(found)?;
        let (before, way) = (self.outstanding.len(), answered.way);
        self.outstanding
            .retain(|sent| sent.way != way || sent.sequence > sequence);
        self.missed += (before - self.outstanding.len() - 1) as u64;
        Some(answered)
    }

    /// When the oldest probe of the active path is missed, on a path of that round trip.
    pub(super) fn overdue_at(&self, rtt: Duration) -> Option<Instant> {
        let active = |sent: &&Sent| sent.way == Way::Active;
        let oldest = self.outstanding.iter().find(active)?;
        Some(oldest.at + ANSWER.max(rtt * 2 + ANSWER_SLACK))
    }

    /// Waits for none of those on their way: the paths changed, or were judged by them.
    pub(super) fn forget(&mut self) {
        self.outstanding.clear();
    }

    /// Probes that were not answered though later ones of the same path were.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }
}

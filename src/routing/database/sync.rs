//! Reconciliation with a neighbour: repairs whatever was dropped, at connect and every 30 s.
//!
//! ```text
//!   A                                   B
//!   │ ── Digest ──────────────────────► │ compares with its own
//!   │ ◄───────────────── BucketSummary ─│ keys of what differs
//!   │ ── Request ─────────────────────► │ what A lacks
//!   │ ◄───────────────────────── Flood ─│ certificates enclosed
//! ```
//!
//! Each side pulls what it lacks and both send digests, so both converge. An object may be known on
//! both sides and yet have come the long way round to one of them, too far to travel on: digests
//! carry the least reach by bucket, and who can offer more does.

use std::time::{Duration, Instant};

use super::authority::Authority;
use super::core::Core;
use super::counters::MessageDrop;
use super::digest::bucket_of;
use super::origin::{Origin, Standing, Stored};
use super::output::Output;
use super::relay::Enclose;
use super::time::Now;
use crate::identity::AgentId;
use crate::wire::{
    BucketSummary, ControlMessage, Digest, ENOUGH_REACH, OBJECT_KEY_BYTES, ObjectKey, Request,
};

/// How often neighbours compare: bounds for how long a lost message is missed.
const INTERVAL: Duration = Duration::from_secs(30);

/// The next comparison when more was lacking than one may ask for.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Least time between two answers to a neighbour's digests: a summary may be large.
const LEAST_INTERVAL: Duration = Duration::from_millis(500);

impl<A: Authority> Core<A> {
    pub(super) fn send_digest(&mut self, now: Now, to: AgentId) {
        let Some(session) = self.sessions.get_mut(&to) else {
            return;
        };
        session.next_digest = now.instant + INTERVAL;
        if session.convicted {
            return;
        }
        let buckets = self.db.buckets().as_slice().to_vec();
        let least = self.db.least_reach();
        let reach = least.map(|reach| {
            if reach < self.farthest {
                reach
            } else {
                ENOUGH_REACH
            }
        });
        let reach = reach.to_vec().into();
        self.send(to, ControlMessage::Digest(Digest { buckets, reach }));
    }

    pub(super) fn receive_digest(&mut self, now: Now, from: AgentId, digest: &Digest) {
        let Some(mut wanted) = self.db.buckets().differing(&digest.buckets) else {
            return self.counters.count_drop(MessageDrop::Malformed);
        };
        for ((wanted, own), theirs) in wanted
            .iter_mut()
            .zip(self.db.least_reach())
            .zip(digest.reach.iter())
        {
            *wanted |= own.saturating_sub(1) > *theirs;
        }
        if !wanted.contains(&true) {
            return;
        }
        if !self.may_compare(now.instant, from) {
            return self.counters.count_drop(MessageDrop::SyncRate);
        }
        let offers: Vec<(ObjectKey, u8)> = self
            .db
            .origins()
            .filter(|(id, _)| wanted[bucket_of(**id)])
            .flat_map(|(_, origin)| origin.objects())
            .filter(|stored| stored.ttl > 0)
            .map(|stored| (stored.key, stored.ttl - 1))
            .collect();
        for chunk in offers.chunks(self.keys_per_message()) {
            let (objects, reach): (Vec<ObjectKey>, Vec<u8>) = chunk.iter().copied().unzip();
            let reach = reach.into();
            let summary = BucketSummary { objects, reach };
            self.send(from, ControlMessage::BucketSummary(summary));
        }
    }

    pub(super) fn receive_summary(&mut self, now: Now, from: AgentId, summary: &BucketSummary) {
        let offers = summary.objects.iter().zip(summary.reach.iter());
        let mut lacking: Vec<ObjectKey> = offers
            .filter(|(key, reach)| self.lacks(key, **reach))
            .map(|(key, _)| *key)
            .collect();
        // Half of what may be checked per second, so that the answers are not dropped; two checks
        // for each, signature and certificate.
        let most = (self.settings.limits.signatures_per_second as usize / 4).max(1);
        // However often it offers: what it is asked for waits in memory until it listens.
        let wanted = lacking.len().min(most);
        let session = self.sessions.get_mut(&from);
        let most = session.map_or(0, |session| {
            session.asked.take_some(now.instant, wanted as u64) as usize
        });
        if lacking.len() > most {
            // Ask each neighbour for another part.
            let start = lacking.len() * usize::from(from.0[0]) / 256;
            lacking.rotate_left(start);
            lacking.truncate(most);
            if let Some(session) = self.sessions.get_mut(&from) {
                session.next_digest = session.next_digest.min(now.instant + CATCH_UP);
            }
        }
        for chunk in lacking.chunks(self.keys_per_message()) {
            let objects = chunk.to_vec();
            self.send(from, ControlMessage::Request(Request { objects }));
        }
    }

    pub(super) fn receive_request(&mut self, now: Now, from: AgentId, request: &Request) {
        let mut answer: Vec<Stored> = Vec::new();
        for key in &request.objects {
            let Some(origin) = self.db.origin(key.origin) else {
                continue;
            };
            let Some(stored) = origin.object(key.kind, key.fragment) else {
                continue;
            };
            let bytes = answer_bytes(origin, stored);
            let allowed = self
                .sessions
                .get_mut(&from)
                .is_some_and(|session| session.answers.take(now.instant, bytes));
            if !allowed {
                self.counters.count_drop(MessageDrop::ByteRate);
                break;
            }
            if stored.ttl > 0 {
                answer.push(stored.clone());
            }
        }
        self.send_floods(from, answer, Enclose::All);
    }

    /// Whether we want an object that a neighbour has: news, or what we could send farther on than
    /// so far. In our own name, too: whatever others would keep instead of our word, we have to move
    /// past.
    fn lacks(&self, key: &ObjectKey, reach: u8) -> bool {
        match self.db.standing(key) {
            Standing::New => true,
            Standing::Stale => false,
            Standing::Same => {
                let origin = self.db.origin(key.origin);
                let stored = origin.and_then(|origin| origin.object(key.kind, key.fragment));
                stored.is_some_and(|stored| stored.ttl < reach.min(self.farthest))
            }
        }
    }

    fn may_compare(&mut self, now: Instant, from: AgentId) -> bool {
        let Some(session) = self.sessions.get_mut(&from) else {
            return false;
        };
        let allowed = session
            .compared
            .is_none_or(|last| now.saturating_duration_since(last) >= LEAST_INTERVAL);
        if allowed {
            session.compared = Some(now);
        }
        allowed
    }

    fn keys_per_message(&self) -> usize {
        (self.settings.limits.control_message / 2 / OBJECT_KEY_BYTES).max(1)
    }

    fn send(&mut self, to: AgentId, message: ControlMessage) {
        self.out.push(Output::Send { to, message });
    }
}

fn answer_bytes(origin: &Origin, stored: &Stored) -> u64 {
    let certificates = origin.proofs.iter();
    let proofs: usize = certificates
        .map(|proof| proof.certificate.wire_bytes())
        .sum();
    (stored.adv.wire_bytes() + proofs) as u64
}

#[cfg(test)]
mod tests;

//! The advertisement database: per origin the current link advertisement, the current set of route
//! fragments, and the certificates that prove them.
//!
//! What is kept depends on the objects an origin issued, not on the order in which they came, so that
//! agents that saw them all hold the same database:
//! - an origin's objects of any epoch but its highest are void;
//! - of each object the highest version is kept;
//! - fragments at or past the count that the newest fragment states are void.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::authority::Admitted;
use super::digest::{BUCKETS, Buckets, bucket_of};
use super::origin::{Origin, Proof, Standing, Stored};
use super::slots::SlotSet;
use super::time::Now;
use crate::identity::AgentId;
use crate::wire::{CertificateBytes, ObjectKey, ObjectKind};

/// What an insertion or removal changed for those who compute paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) topology: bool,
    pub(super) routes: bool,
}

#[derive(Debug, Default)]
pub(super) struct Database {
    origins: BTreeMap<AgentId, Origin>,
    buckets: Buckets,
    bytes: usize,
}

impl Database {
    pub(super) fn origin(&self, id: AgentId) -> Option<&Origin> {
        self.origins.get(&id)
    }

    pub(super) fn origin_mut(&mut self, id: AgentId) -> Option<&mut Origin> {
        self.origins.get_mut(&id)
    }

    pub(super) fn origins(&self) -> impl Iterator<Item = (&AgentId, &Origin)> {
        self.origins.iter()
    }

    pub(super) fn origin_count(&self) -> usize {
        self.origins.len()
    }

    /// Bytes of all stored objects and certificates, as they travel.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn buckets(&self) -> &Buckets {
        &self.buckets
    }

    pub(super) fn standing(&self, key: &ObjectKey) -> Standing {
        self.origins
            .get(&key.origin)
            .map_or(Standing::New, |origin| origin.standing(key))
    }

    /// Bytes that storing an object of this size would free, because it takes another's place.
    pub(super) fn replaced_bytes(&self, key: &ObjectKey) -> usize {
        self.origins
            .get(&key.origin)
            .and_then(|origin| origin.object(key.kind, key.fragment))
            .map_or(0, |stored| stored.adv.wire_bytes())
    }

    /// Keeps the larger reach of an object that arrived again by a shorter way. Returns the reach
    /// that it had, if it grew.
    pub(super) fn widen(&mut self, key: &ObjectKey, ttl: u8, distance: u8) -> Option<u8> {
        let origin = self.origins.get_mut(&key.origin)?;
        let mut objects = origin.link.iter_mut().chain(&mut origin.routes);
        let stored = objects.find(|stored| stored.key == *key && ttl > stored.ttl)?;
        stored.distance = distance;
        Some(std::mem::replace(&mut stored.ttl, ttl))
    }

    /// Most hops that a stored object took to here.
    pub(super) fn farthest(&self) -> u8 {
        let objects = self.origins.values().flat_map(Origin::objects);
        objects.map(|stored| stored.distance).max().unwrap_or(0)
    }

    /// By bucket, the least reach of any object in it; of an empty one the largest number.
    pub(super) fn least_reach(&self) -> [u8; BUCKETS] {
        let mut least = [u8::MAX; BUCKETS];
        for (id, origin) in &self.origins {
            let reach = &mut least[bucket_of(*id)];
            for stored in origin.objects() {
                *reach = stored.ttl.min(*reach);
            }
        }
        least
    }

    /// Stores an object whose [`standing`](Self::standing) is new, proven by `proof`, and voids
    /// what it supersedes.
    pub(super) fn insert(
        &mut self,
        stored: Stored,
        certificate: &CertificateBytes,
        admitted: &Arc<Admitted>,
    ) -> Change {
        let id = stored.key.origin;
        let mut change = Change::default();
        if self.origins.get(&id).map_or(0, Origin::epoch) < stored.key.version.epoch {
            change = self.remove_where(id, |_| true);
        }
        let origin = self.origins.entry(id).or_default();
        if origin.proof(certificate.hash()).is_none() {
            self.bytes += certificate.wire_bytes();
            // Nearly always the only one, and there is one per origin.
            origin.proofs.reserve_exact(1);
            origin.proofs.push(Proof {
                certificate: certificate.clone(),
                admitted: Arc::clone(admitted),
                sent: SlotSet::default(),
            });
        }
        self.bytes += stored.adv.wire_bytes();
        self.buckets.toggle(&stored.key);
        let old = match stored.key.kind {
            ObjectKind::Link => {
                let old = origin.link.replace(stored);
                change.topology |= !same_links(old.as_ref(), origin.link.as_ref());
                old
            }
            ObjectKind::Route => {
                let (index, old) = put_fragment(&mut origin.routes, stored);
                change.routes |= !same_routes(old.as_ref(), origin.routes.get(index));
                old
            }
        };
        if let Some(old) = old {
            self.bytes -= old.adv.wire_bytes();
            self.buckets.toggle(&old.key);
        }
        let voided = self.void_fragments(id);
        change.routes |= voided.routes;
        self.drop_unused(id);
        change
    }

    /// Removes what is void, of every origin but `kept`. Returns what changed, and the time until
    /// the next object becomes void.
    pub(super) fn remove_void(
        &mut self,
        now: Now,
        kept: Option<AgentId>,
    ) -> (Change, Option<Duration>) {
        let mut next = None;
        let mut void = Vec::new();
        for (id, origin) in &self.origins {
            if Some(*id) == kept {
                continue;
            }
            for stored in origin.objects() {
                let left = stored.void_in(now, &origin.proofs);
                if left.is_zero() {
                    void.push(stored.key);
                } else {
                    next = Some(next.map_or(left, |next: Duration| next.min(left)));
                }
            }
        }
        let mut change = Change::default();
        for key in void {
            change.add(self.remove_where(key.origin, |stored| stored.key == key));
            self.drop_unused(key.origin);
        }
        (change, next)
    }

    /// Dates everything anew after this host's clock was set back.
    pub(super) fn redate(&mut self, now: Now) {
        for origin in self.origins.values_mut() {
            for stored in origin.link.iter_mut().chain(&mut origin.routes) {
                stored.redate(now);
            }
        }
    }

    /// Removes everything of `id`.
    pub(super) fn remove_origin(&mut self, id: AgentId) -> Change {
        let change = self.remove_where(id, |_| true);
        self.drop_unused(id);
        change
    }

    /// Forgets which certificates the neighbour of `slot` has.
    pub(super) fn clear_slot(&mut self, slot: usize) {
        for origin in self.origins.values_mut() {
            for proof in &mut origin.proofs {
                proof.sent.remove(slot);
            }
        }
    }

    fn remove_where(&mut self, id: AgentId, gone: impl Fn(&Stored) -> bool) -> Change {
        let mut change = Change::default();
        let Some(origin) = self.origins.get_mut(&id) else {
            return change;
        };
        let (buckets, bytes) = (&mut self.buckets, &mut self.bytes);
        let mut leaves = |stored: &Stored| {
            let leaves = gone(stored);
            if leaves {
                buckets.toggle(&stored.key);
                *bytes -= stored.adv.wire_bytes();
            }
            leaves
        };
        if origin.link.as_ref().is_some_and(&mut leaves) {
            origin.link = None;
            change.topology = true;
        }
        let before = origin.routes.len();
        origin.routes.retain(|stored| !leaves(stored));
        change.routes = origin.routes.len() != before;
        change
    }

    /// Removes the fragments that the newest one voids.
    fn void_fragments(&mut self, id: AgentId) -> Change {
        let newest = self.origins.get(&id).and_then(Origin::newest_route);
        match newest.map(|route| route.fragments) {
            Some(count) => self.remove_where(id, |stored| {
                stored.key.kind == ObjectKind::Route && stored.key.fragment >= count
            }),
            None => Change::default(),
        }
    }

    /// Drops certificates that no object names, and the origin when nothing is left of it.
    fn drop_unused(&mut self, id: AgentId) {
        let Some(origin) = self.origins.get_mut(&id) else {
            return;
        };
        let named: BTreeSet<[u8; 32]> = origin
            .objects()
            .map(|stored| stored.decoded().stamp().certificate_hash)
            .collect();
        let bytes = &mut self.bytes;
        origin.proofs.retain(|proof| {
            let kept = named.contains(proof.certificate.hash());
            if !kept {
                *bytes -= proof.certificate.wire_bytes();
            }
            kept
        });
        if named.is_empty() {
            self.origins.remove(&id);
        }
    }
}

impl Change {
    pub(super) fn add(&mut self, other: Self) {
        self.topology |= other.topology;
        self.routes |= other.routes;
    }
}

fn put_fragment(routes: &mut Vec<Stored>, stored: Stored) -> (usize, Option<Stored>) {
    match routes.binary_search_by_key(&stored.key.fragment, |route| route.key.fragment) {
        Ok(index) => {
            let old = std::mem::replace(&mut routes[index], stored);
            (index, Some(old))
        }
        Err(index) => {
            routes.insert(index, stored);
            (index, None)
        }
    }
}

/// Whether two link advertisements mean the same to the graph.
fn same_links(old: Option<&Stored>, new: Option<&Stored>) -> bool {
    match (old.and_then(Stored::link), new.and_then(Stored::link)) {
        (Some(old), Some(new)) => {
            (old.flags, &old.neighbors, old.features) == (new.flags, &new.neighbors, new.features)
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether two fragments mean the same to the prefix table.
fn same_routes(old: Option<&Stored>, new: Option<&Stored>) -> bool {
    match (old.and_then(Stored::route), new.and_then(Stored::route)) {
        (Some(old), Some(new)) => {
            // Another certificate may grant other names.
            old.stamp.certificate_hash == new.stamp.certificate_hash
                && old.prefixes == new.prefixes
                && old.domains == new.domains
                && (old.resolves, old.load) == (new.resolves, new.load)
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests;

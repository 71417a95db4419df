//! Read access: for path computation, metrics, and people.

use std::sync::Arc;
use std::time::Instant;

use super::authority::{Admitted, Authority};
use super::contest::Contest;
use super::core::Core;
use super::counters::Counters;
use super::origin::Origin;
use super::own::Voice;
use crate::identity::AgentId;
use crate::wire::{Advertisement, LinkAdv, RouteAdv, SignedAdv};

/// What people may want to know of an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginView {
    pub id: AgentId,
    pub display_name: String,
    pub epoch: u64,
    /// Hops that its latest advertisement took to here; 0: this agent. Shown to people only.
    pub hops: u8,
    /// Unix milliseconds by its clock.
    pub issued_at_ms: u64,
    pub expires_at_ms: u64,
    pub neighbors: usize,
    pub prefixes: usize,
    pub domains: usize,
    /// Unix milliseconds.
    pub certificate_not_after_ms: u64,
}

/// One adjacency of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdjacencyView {
    pub neighbor: AgentId,
    /// It is in our link advertisement.
    pub advertised: bool,
    /// It is up, but flapped, and is advertised from then on.
    pub held_until: Option<Instant>,
}

impl<A: Authority> Core<A> {
    /// This agent's id.
    pub fn id(&self) -> AgentId {
        self.settings.id
    }

    /// The epoch of own advertisements.
    pub fn epoch(&self) -> u64 {
        self.own.epoch
    }

    /// The current link advertisement of every origin, this agent's own last.
    pub fn link_advs(&self) -> impl Iterator<Item = &LinkAdv> {
        let others = self.others().filter_map(|(_, origin)| origin.link_adv());
        others.chain(self.own.link.as_ref().and_then(as_link))
    }

    /// The current link advertisement of one origin.
    pub fn link_adv(&self, origin: AgentId) -> Option<&LinkAdv> {
        if origin == self.settings.id {
            return self.own.link.as_ref().and_then(as_link);
        }
        self.db.origin(origin).and_then(Origin::link_adv)
    }

    /// Every current route fragment by origin and fragment, this agent's own last.
    pub fn route_advs(&self) -> impl Iterator<Item = (AgentId, &RouteAdv)> {
        let others = self
            .others()
            .flat_map(|(id, origin)| origin.route_advs().map(move |route| (*id, route)));
        let own = self.own.fragments.iter().filter_map(as_route);
        others.chain(own.map(|route| (self.settings.id, route)))
    }

    /// The same as handles, which another thread may take along, each with what its certificate says.
    pub fn signed_routes(&self) -> Vec<(SignedAdv, Arc<Admitted>)> {
        let others = self.others().flat_map(|(_, origin)| {
            origin.routes.iter().filter_map(|stored| {
                let proof = origin.proof(&stored.decoded().stamp().certificate_hash)?;
                Some((stored.adv.clone(), Arc::clone(&proof.admitted)))
            })
        });
        let own = self.own.fragments.iter().cloned();
        let own = own.map(|adv| (adv, Arc::clone(&self.own.admitted)));
        others.chain(own).collect()
    }

    /// The current route fragments of one origin, ascending.
    pub fn routes_of(&self, origin: AgentId) -> impl Iterator<Item = &RouteAdv> {
        let own = if origin == self.settings.id {
            self.own.fragments.as_slice()
        } else {
            &[]
        };
        let other = self
            .db
            .origin(origin)
            .filter(|_| origin != self.settings.id);
        other
            .into_iter()
            .flat_map(Origin::route_advs)
            .chain(own.iter().filter_map(as_route))
    }

    /// The certificate that `origin`'s link advertisement is signed with.
    #[cfg(test)]
    pub(crate) fn certificate_of(&self, origin: AgentId) -> Option<&crate::wire::CertificateBytes> {
        let hash = &self.link_adv(origin)?.stamp.certificate_hash;
        if self.own.certificate.hash() == hash {
            return Some(&self.own.certificate);
        }
        let proof = self.db.origin(origin)?.proof(hash)?;
        Some(&proof.certificate)
    }

    /// Every origin, for people, ascending by id.
    pub fn origins(&self) -> impl Iterator<Item = OriginView> {
        self.db.origins().map(|(id, origin)| {
            let newest = origin.objects().max_by_key(|stored| stored.key.version);
            let stamp = newest.map(|stored| stored.decoded().stamp());
            let link = origin.link_adv();
            let routes = origin.route_advs();
            let (prefixes, domains) = routes.fold((0, 0), |(prefixes, domains), route| {
                (
                    prefixes + route.prefixes.len(),
                    domains + route.domains.len(),
                )
            });
            OriginView {
                id: *id,
                display_name: link.map_or_else(String::new, |link| link.display_name.clone()),
                epoch: origin.epoch(),
                hops: newest.map_or(0, |stored| stored.distance),
                issued_at_ms: stamp.map_or(0, |stamp| stamp.issued_at_ms),
                expires_at_ms: stamp.map_or(0, |stamp| stamp.expires_at_ms()),
                neighbors: link.map_or(0, |link| link.neighbors.len()),
                prefixes,
                domains,
                certificate_not_after_ms: origin
                    .proofs
                    .iter()
                    .map(|proof| proof.admitted.not_after_ms)
                    .max()
                    .unwrap_or(0),
            }
        })
    }

    /// Whether a control session with `neighbor` is established.
    pub fn is_linked(&self, neighbor: AgentId) -> bool {
        self.sessions.contains_key(&neighbor)
    }

    /// Own adjacencies with a live session or a flap history, ascending by id.
    pub fn adjacencies(&self) -> impl Iterator<Item = AdjacencyView> {
        self.adjacencies
            .iter()
            .map(|(neighbor, adjacency)| AdjacencyView {
                neighbor: *neighbor,
                advertised: adjacency.is_told(),
                held_until: adjacency.held_until(),
            })
    }

    /// Another process with our key was seen alive lately: a reason to be degraded.
    pub fn duplicate_identity(&self) -> bool {
        let Contest { disputed_until, .. } = &self.contest;
        disputed_until.is_some() || matches!(self.own.voice, Voice::Yielded { .. })
    }

    /// A newer process with our key advertises, so this one does not.
    pub fn is_silenced(&self) -> bool {
        match self.own.voice {
            Voice::Yielded { .. } => true,
            Voice::Speaking | Voice::Stopped => false,
        }
    }

    /// What became of all that was received.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes of stored advertisements and certificates, as they travel.
    pub fn database_bytes(&self) -> usize {
        self.db.bytes()
    }

    /// A hash of the database by bucket: equal for agents that hold the same.
    pub fn digest(&self) -> &[u64] {
        self.db.buckets().as_slice()
    }

    fn others(&self) -> impl Iterator<Item = (&AgentId, &Origin)> {
        self.db.origins().filter(|(id, _)| **id != self.settings.id)
    }
}

fn as_link(adv: &SignedAdv) -> Option<&LinkAdv> {
    match adv.advertisement() {
        Ok(Advertisement::Link(link)) => Some(link),
        Ok(Advertisement::Route(_)) | Err(_) => None,
    }
}

fn as_route(adv: &SignedAdv) -> Option<&RouteAdv> {
    match adv.advertisement() {
        Ok(Advertisement::Route(route)) => Some(route),
        Ok(Advertisement::Link(_)) | Err(_) => None,
    }
}

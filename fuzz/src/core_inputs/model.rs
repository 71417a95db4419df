//! The reference: what is known of every other agent is the newest of what was validly signed and
//! arrived, as docs/routing.md has it. Kept as plainly as can be, without any index.

use std::collections::BTreeMap;

use warren::config::Limits;
use warren::identity::{AgentId, MAX_EPOCH_AHEAD_MS};
use warren::routing::{AdvResult, Authority, Core};
use warren::wire::{Advertisement, LinkAdv, ObjectKey, ObjectKind, RouteAdv};

use super::authority::{Fake, Notary};
use super::objects::{AGENTS, Object, certificate, id};

/// How far clocks may be apart, milliseconds (docs/operations.md).
const SLACK_MS: u64 = 120_000;

/// News that an origin may tell at once: twice 16 a second, and one for its few routes.
const BURST: usize = 34;

/// One object that is known.
struct Known {
    adv: Advertisement,
    key: ObjectKey,
    wire_bytes: usize,
}

pub(super) struct Model {
    limits: Limits,
    /// By origin, kind and fragment. What is said in the name of the agent under test is left out.
    objects: BTreeMap<(AgentId, ObjectKind, u16), Known>,
    /// How much each origin told so far.
    told: BTreeMap<AgentId, usize>,
}

enum Standing {
    New,
    Same,
    Stale,
}

impl Model {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            objects: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// What may become of an advertisement that a believed neighbour sends now.
    pub(super) fn judge(&self, core: &Core<Fake>, object: &Object, unix_ms: u64) -> Vec<AdvResult> {
        let Ok(adv) = object.envelope.adv.advertisement() else {
            return vec![AdvResult::Malformed];
        };
        let key = object.envelope.adv.key().expect("it decodes");
        if let Some(refused) = self.refused_unread(object, adv, unix_ms) {
            return vec![refused];
        }
        if key.origin == id(0) {
            return AdvResult::ALL.to_vec();
        }
        match self.standing(&key) {
            Standing::New => {}
            Standing::Same => return vec![AdvResult::Duplicate, AdvResult::Widened],
            Standing::Stale => return vec![AdvResult::Stale],
        }
        let unproven = self.unproven(object, adv);
        let result = unproven.or_else(|| self.no_room(core, object, adv, &key));
        let mut results = vec![result.unwrap_or(AdvResult::Accepted)];
        if self
            .told
            .get(&key.origin)
            .is_some_and(|told| *told >= BURST)
        {
            results.push(AdvResult::OriginRate);
        }
        results
    }

    /// Takes over what was accepted.
    pub(super) fn store(&mut self, object: &Object) {
        let adv = object.envelope.adv.advertisement().expect("accepted");
        let key = object.envelope.adv.key().expect("accepted");
        let origin = key.origin;
        if origin == id(0) {
            return;
        }
        *self.told.entry(origin).or_default() += 1;
        let epoch = key.version.epoch;
        self.objects
            .retain(|place, known| place.0 != origin || known.key.version.epoch == epoch);
        let known = Known {
            adv: adv.clone(),
            key,
            wire_bytes: object.envelope.adv.wire_bytes(),
        };
        self.objects.insert((origin, key.kind, key.fragment), known);
        if let Some(newest) = self.newest_route(origin) {
            let count = newest.fragments;
            self.objects.retain(|(id, kind, fragment), _| {
                *id != origin || *kind == ObjectKind::Link || *fragment < count
            });
        }
    }

    /// Forgets what is void by now.
    pub(super) fn expire(&mut self, unix_ms: u64) {
        self.objects
            .retain(|_, known| void_at(&known.adv) > unix_ms);
    }

    /// The core knows just this of every other agent.
    pub(super) fn compare(&self, core: &Core<Fake>) {
        let origins: Vec<AgentId> = core.origins().map(|origin| origin.id).collect();
        for agent in (1..AGENTS).map(id) {
            assert_eq!(core.link_adv(agent), self.link(agent), "links of {agent}");
            let routes: Vec<&RouteAdv> = core.routes_of(agent).collect();
            let expected: Vec<&RouteAdv> = self.routes(agent).collect();
            assert_eq!(routes, expected, "routes of {agent}");
            assert_eq!(origins.contains(&agent), self.knows(agent), "{agent}");
        }
    }

    /// The checks that need nothing but the bytes and the time.
    fn refused_unread(
        &self,
        object: &Object,
        adv: &Advertisement,
        unix_ms: u64,
    ) -> Option<AdvResult> {
        let stamp = adv.stamp();
        if object.envelope.hops.saturating_add(1) > stamp.max_hops {
            return Some(AdvResult::TooFar);
        }
        let is_far_ahead = stamp.epoch > unix_ms + MAX_EPOCH_AHEAD_MS;
        if is_far_ahead || stamp.issued_at_ms > unix_ms + SLACK_MS {
            return Some(AdvResult::FutureDated);
        }
        if void_at(adv) <= unix_ms {
            return Some(AdvResult::Expired);
        }
        match adv {
            Advertisement::Link(link)
                if link.neighbors.len() > self.limits.neighbors_per_origin =>
            {
                Some(AdvResult::NeighborLimit)
            }
            Advertisement::Link(_) | Advertisement::Route(_) => None,
        }
    }

    fn unproven(&self, object: &Object, adv: &Advertisement) -> Option<AdvResult> {
        let stamp = adv.stamp();
        let hash = &stamp.certificate_hash;
        let is_known = self
            .of(stamp.origin)
            .any(|known| known.adv.stamp().certificate_hash == *hash);
        let is_own = hash == certificate(0).hash();
        let is_enclosed = object.enclosed.as_ref().map(|own| own.hash()) == Some(hash);
        if !is_known && !is_own && !is_enclosed {
            return Some(AdvResult::UnknownCertificate);
        }
        if hash == certificate(AGENTS).hash() {
            return Some(AdvResult::Untrusted);
        }
        let named = (0..AGENTS).find(|agent| certificate(*agent).hash() == hash);
        if named.map(id) != Some(stamp.origin) {
            return Some(AdvResult::ForeignCertificate);
        }
        let message = object.envelope.adv.signing_message().expect("it decodes");
        let signed = Fake::new(stamp.origin, 0, &Notary::default()).sign(&message)
            == *object.envelope.adv.signature();
        (!signed).then_some(AdvResult::BadSignature)
    }

    fn no_room(
        &self,
        core: &Core<Fake>,
        object: &Object,
        adv: &Advertisement,
        key: &ObjectKey,
    ) -> Option<AdvResult> {
        if !self.knows(key.origin) && core.origins().count() >= self.limits.origins {
            return Some(AdvResult::OriginLimit);
        }
        if let Advertisement::Route(route) = adv {
            let stay = self.of(key.origin).filter(|known| {
                known.key.version.epoch == key.version.epoch && known.key.fragment != key.fragment
            });
            let others: usize = stay.map(|known| routes_in(&known.adv)).sum();
            if others + route.prefixes.len() + route.domains.len() > self.limits.routes_per_origin {
                return Some(AdvResult::RouteLimit);
            }
        }
        let hash = adv.stamp().certificate_hash;
        let proven = self
            .of(key.origin)
            .any(|known| known.adv.stamp().certificate_hash == hash);
        let proof = object.enclosed.as_ref().map_or(0, |own| own.wire_bytes());
        let place = (key.origin, key.kind, key.fragment);
        let freed = self.objects.get(&place).map_or(0, |old| old.wire_bytes);
        let more = object.envelope.adv.wire_bytes() + if proven { 0 } else { proof };
        let bytes = core.database_bytes() + more - freed;
        (bytes > self.limits.advertisement_bytes).then_some(AdvResult::MemoryLimit)
    }

    fn standing(&self, key: &ObjectKey) -> Standing {
        let Some(epoch) = self
            .of(key.origin)
            .map(|known| known.key.version.epoch)
            .max()
        else {
            return Standing::New;
        };
        if key.version.epoch > epoch {
            return Standing::New;
        }
        if key.version.epoch < epoch {
            return Standing::Stale;
        }
        let place = (key.origin, key.kind, key.fragment);
        if let Some(known) = self.objects.get(&place) {
            return match key.version {
                newer if newer > known.key.version => Standing::New,
                same if same == known.key.version => Standing::Same,
                _ => Standing::Stale,
            };
        }
        let voided = self.newest_route(key.origin).is_some_and(|newest| {
            key.kind == ObjectKind::Route
                && key.fragment >= newest.fragments
                && key.version.sequence <= newest.stamp.sequence
        });
        if voided {
            Standing::Stale
        } else {
            Standing::New
        }
    }

    fn knows(&self, origin: AgentId) -> bool {
        self.of(origin).next().is_some()
    }

    fn of(&self, origin: AgentId) -> impl Iterator<Item = &Known> {
        let all = self.objects.iter();
        all.filter(move |(place, _)| place.0 == origin)
            .map(|(_, known)| known)
    }

    fn newest_route(&self, origin: AgentId) -> Option<&RouteAdv> {
        let routes = self.of(origin).filter_map(|known| match &known.adv {
            Advertisement::Route(route) => Some((known.key.version, route)),
            Advertisement::Link(_) => None,
        });
        routes
            .max_by_key(|(version, _)| *version)
            .map(|(_, route)| route)
    }

    fn link(&self, origin: AgentId) -> Option<&LinkAdv> {
        self.of(origin).find_map(|known| match &known.adv {
            Advertisement::Link(link) => Some(link),
            Advertisement::Route(_) => None,
        })
    }

    fn routes(&self, origin: AgentId) -> impl Iterator<Item = &RouteAdv> {
        self.of(origin).filter_map(|known| match &known.adv {
            Advertisement::Route(route) => Some(route),
            Advertisement::Link(_) => None,
        })
    }
}

fn void_at(adv: &Advertisement) -> u64 {
    adv.stamp().expires_at_ms().saturating_add(SLACK_MS)
}

fn routes_in(adv: &Advertisement) -> usize {
    match adv {
        Advertisement::Route(route) => route.prefixes.len() + route.domains.len(),
        Advertisement::Link(_) => 0,
    }
}

//! What is known of one origin: its objects in their current versions, and its certificates.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::authority::Admitted;
use super::bucket::TokenBucket;
use super::slots::SlotSet;
use super::time::{CLOCK_SLACK_MS, Now};
use crate::wire::{
    Advertisement, CertificateBytes, LinkAdv, ObjectKey, ObjectKind, RouteAdv, SignedAdv, Stamp,
};

/// One advertisement and how it came here. Its body has been decoded.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) adv: SignedAdv,
    pub(super) key: ObjectKey,
    /// Sends left on the way from here; 0: it ends here.
    pub(super) ttl: u8,
    /// Hops from the origin; 0: this agent.
    pub(super) distance: u8,
    /// When it is void, if its certificate lasts. By the monotonic clock: a wall clock that is set
    /// must not take away what was fresh when it came.
    void_at: Instant,
    /// When it is void whatever the wall clock is set to: one that came dated as far ahead as may
    /// be lasts so long.
    void_by: Instant,
}

/// A certificate that was admitted.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) certificate: CertificateBytes,
    pub(super) admitted: Arc<Admitted>,
    /// Neighbours that have it.
    pub(super) sent: SlotSet,
}

/// What is known of one origin.
#[derive(Debug, Default)]
pub(super) struct Origin {
    pub(super) link: Option<Stored>,
    /// By fragment, ascending.
    pub(super) routes: Vec<Stored>,
    /// Those that the objects name: one, or two while a new one spreads.
    pub(super) proofs: Vec<Proof>,
    /// What it may say next; of our own agent there is none.
    pub(super) pace: Option<TokenBucket>,
}

/// How an incoming object relates to what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    New,
    /// Stored already, in this version.
    Same,
    /// Void or older than what is stored.
    Stale,
}

impl Stored {
    /// `None` if the body does not decode.
    pub(super) fn new(now: Now, adv: SignedAdv, ttl: u8, distance: u8) -> Option<Self> {
        let key = adv.key()?;
        let stamp = adv.advertisement().ok()?.stamp();
        Some(Self {
            void_at: now.instant + left(now, stamp),
            void_by: now.instant + longest(stamp),
            adv,
            key,
            ttl,
            distance,
        })
    }

    /// Dates it anew after this host's clock was set back: it may be younger than it looked.
    pub(super) fn redate(&mut self, now: Now) {
        let right = now.instant + left(now, self.decoded().stamp());
        self.void_at = self.void_at.max(right.min(self.void_by));
    }

    pub(super) fn decoded(&self) -> &Advertisement {
        self.adv
            .advertisement()
            .expect("only decoded bodies are stored")
    }

    pub(super) fn link(&self) -> Option<&LinkAdv> {
        match self.decoded() {
            Advertisement::Link(link) => Some(link),
            Advertisement::Route(_) => None,
        }
    }

    pub(super) fn route(&self) -> Option<&RouteAdv> {
        match self.decoded() {
            Advertisement::Route(route) => Some(route),
            Advertisement::Link(_) => None,
        }
    }

    /// Time until it is void; zero: it is.
    pub(super) fn void_in(&self, now: Now, proofs: &[Proof]) -> Duration {
        let stamp = self.decoded().stamp();
        let proof = proofs
            .iter()
            .find(|proof| *proof.certificate.hash() == stamp.certificate_hash);
        let not_after_ms = proof.map_or(u64::MAX, |proof| proof.admitted.not_after_ms);
        let certified = Duration::from_millis(not_after_ms.saturating_sub(now.unix_ms));
        let fresh = self.void_at.saturating_duration_since(now.instant);
        fresh.min(certified)
    }
}

/// Time until what this stamp dates is void, if the wall clock is right now.
fn left(now: Now, stamp: &Stamp) -> Duration {
    let expires = stamp.expires_at_ms().saturating_add(CLOCK_SLACK_MS);
    Duration::from_millis(expires.saturating_sub(now.unix_ms)).min(longest(stamp))
}

/// The most that one has left whose date is not refused: 120 s ahead, and the slack.
fn longest(stamp: &Stamp) -> Duration {
    Duration::from_millis(stamp.lifetime_ms.saturating_add(2 * CLOCK_SLACK_MS))
}

impl Origin {
    pub(super) fn objects(&self) -> impl Iterator<Item = &Stored> {
        self.link.iter().chain(&self.routes)
    }

    pub(super) fn object(&self, kind: ObjectKind, fragment: u16) -> Option<&Stored> {
        match kind {
            ObjectKind::Link => self.link.as_ref(),
            ObjectKind::Route => self
                .routes
                .iter()
                .find(|stored| stored.key.fragment == fragment),
        }
    }

    pub(super) fn proof(&self, hash: &[u8; 32]) -> Option<&Proof> {
        self.proofs
            .iter()
            .find(|proof| proof.certificate.hash() == hash)
    }

    pub(super) fn link_adv(&self) -> Option<&LinkAdv> {
        self.link.as_ref()?.link()
    }

    pub(super) fn route_advs(&self) -> impl Iterator<Item = &RouteAdv> {
        self.routes.iter().filter_map(Stored::route)
    }

    /// The epoch of everything stored; 0 if nothing is.
    pub(super) fn epoch(&self) -> u64 {
        self.objects()
            .next()
            .map_or(0, |stored| stored.key.version.epoch)
    }

    /// Routes stored, without those of `fragment`.
    pub(super) fn routes_besides(&self, fragment: u16) -> usize {
        self.route_advs()
            .filter(|route| route.fragment != fragment)
            .map(|route| route.prefixes.len() + route.domains.len())
            .sum()
    }

    /// Bytes of the objects stored, as they travel, without the one that `key` takes the place of.
    pub(super) fn bytes_besides(&self, key: &ObjectKey) -> usize {
        let others = self
            .objects()
            .filter(|stored| (stored.key.kind, stored.key.fragment) != (key.kind, key.fragment));
        others.map(|stored| stored.adv.wire_bytes()).sum()
    }

    pub(super) fn newest_route(&self) -> Option<&RouteAdv> {
        let newest = self.routes.iter().max_by_key(|stored| stored.key.version)?;
        newest.route()
    }

    pub(super) fn standing(&self, key: &ObjectKey) -> Standing {
        if key.version.epoch != self.epoch() {
            return if key.version.epoch > self.epoch() {
                Standing::New
            } else {
                Standing::Stale
            };
        }
        if let Some(stored) = self.object(key.kind, key.fragment) {
            return match key.version.cmp(&stored.key.version) {
                Ordering::Greater => Standing::New,
                Ordering::Equal => Standing::Same,
                Ordering::Less => Standing::Stale,
            };
        }
        match (key.kind, self.newest_route()) {
            (ObjectKind::Route, Some(newest))
                if key.fragment >= newest.fragments
                    && key.version.sequence <= newest.stamp.sequence =>
            {
                Standing::Stale
            }
            (ObjectKind::Link | ObjectKind::Route, _) => Standing::New,
        }
    }
}

//! Signs and floods what this agent says of itself; falls silent for a newer process of its key.

use std::sync::Arc;
use std::time::Duration;

use super::authority::Authority;
use super::core::Core;
use super::db::Change;
use super::origin::Stored;
use super::output::{Alarm, Output};
use super::own::{Voice, unjudged};
use super::settings::OwnRoutes;
use super::time::{BATCH, CLOCK_SLACK_MS, Now, TELL_INTERVAL, due, ms_ahead};
use crate::identity::{AgentId, DomainPattern};
use crate::text::{NAME_BYTES, cut};
use crate::wire::{
    Advertisement, CertificateBytes, Features, LinkAdv, LinkFlags, Neighbor, RouteAdv, SignedAdv,
};

/// The wall clock against the monotonic one since the last refresh: more is a clock that was set.
/// NTP slews by 500 ppm, 43 s in the longest `advertise_interval` of a day; others bear twice this.
const STEP_MS: u64 = CLOCK_SLACK_MS / 2;

impl<A: Authority> Core<A> {
    /// This agent's routes, whole; replaces what was given before. Those outside the own
    /// certificate's grants are left out with an alarm.
    pub fn handle_routes(&mut self, now: Now, routes: OwnRoutes) {
        if routes != self.own.configured {
            self.own.configured = routes;
            self.grant_routes(now);
        }
        self.issue_due(now);
    }

    /// Streams open at this exit now. Others hear of it by powers of two, and rarely.
    pub fn handle_load(&mut self, now: Now, streams: u32) {
        self.own.set_streams(now.instant, streams);
        self.issue_due(now);
    }

    /// The authority's own certificate or its trust changed: issues everything again, and drops
    /// what is no longer trusted.
    pub fn handle_trust_changed(&mut self, now: Now) {
        self.admit_self(now);
        let ids: Vec<_> = self.db.origins().map(|(id, _)| *id).collect();
        for id in ids {
            let Some(origin) = self.db.origin(id) else {
                continue;
            };
            let trusted = origin.proofs.iter().all(|proof| {
                self.authority
                    .admit(proof.certificate.bytes(), now.unix_ms)
                    .is_ok_and(|admitted| admitted == proof.admitted)
            });
            if !trusted && (id != self.settings.id || !self.own.is_speaking()) {
                let change = self.db.remove_origin(id);
                self.out.changed(change);
            }
        }
        self.grant_routes(now);
        self.issue_due(now);
        self.issue_all(now);
    }

    /// This agent is about to stop: withdraws its links and routes. Nothing is issued afterwards.
    pub fn handle_shutdown(&mut self, now: Now) {
        self.own.draining = true;
        self.own.routes = OwnRoutes::default();
        self.adjacencies.clear();
        self.issue_all(now);
        self.own.voice = Voice::Stopped;
    }

    /// Reads the own certificate again.
    pub(super) fn admit_self(&mut self, now: Now) {
        self.own.certificate = CertificateBytes::new(&self.authority.certificate());
        let judged = self
            .authority
            .admit(self.own.certificate.bytes(), now.unix_ms);
        let refusal = match judged {
            Ok(admitted) if admitted.id == self.settings.id => {
                self.own.admitted = admitted;
                return;
            }
            Ok(admitted) => format!("it is agent {}'s", admitted.id),
            Err(error) => error.to_string(),
        };
        self.own.admitted = Arc::new(unjudged(&self.settings));
        self.alarm(Alarm::OwnCertificate(refusal));
    }

    /// Moves past other processes, issues what is due.
    pub(super) fn issue_due(&mut self, now: Now) {
        if let Some((epoch, incarnation)) = self.contest.take_move(now.instant) {
            self.own.epoch = self.own.epoch.max(epoch.saturating_add(1));
            self.own.sequence = 0;
            self.own.answers = incarnation;
            self.out.push(Output::EpochAdvanced(self.own.epoch));
            self.issue_all(now);
        }
        let mut issued = Vec::new();
        if self.own.take_link_due(now.instant) {
            issued.extend(self.issue_link(now));
        }
        if self.own.take_routes_due(now.instant) {
            issued.extend(self.issue_routes(now, false));
        }
        self.relay(&issued, None);
    }

    /// Issues everything again at its interval.
    pub(super) fn refresh_due(&mut self, now: Now) {
        if self.own.is_speaking() && self.own.refresh_at <= now.instant {
            self.issue_all(now);
        }
    }

    /// If the wall clock was set: what we said may look expired or future to others, and what they
    /// said may have looked so to us. Says everything again and compares with all neighbours.
    pub(super) fn heed_clock(&mut self, now: Now) {
        let last = self.own.refreshed;
        let since = now.instant.saturating_duration_since(last.instant);
        let expected = last.unix_ms.saturating_add(since.as_millis() as u64);
        let ahead_ms = ms_ahead(now.unix_ms, expected);
        // A clock that jumps to and fro costs the mesh no more than any other change.
        if ahead_ms.unsigned_abs() < STEP_MS || since < BATCH {
            return;
        }
        self.alarm(Alarm::ClockSet { ahead_ms });
        if ahead_ms < 0 {
            self.db.redate(now);
        }
        if self.own.is_speaking() {
            self.issue_all(now);
        }
        self.own.refreshed = now;
        let neighbors: Vec<AgentId> = self.sessions.keys().copied().collect();
        for neighbor in neighbors {
            self.send_digest(now, neighbor);
        }
    }

    /// Speaks again once nothing is left of the process that we yielded to.
    pub(super) fn resume_if_alone(&mut self, now: Now) {
        let Voice::Yielded { since } = self.own.voice else {
            return;
        };
        let outlived = since + self.settings.route_ttl + Duration::from_millis(CLOCK_SLACK_MS);
        if now.instant < outlived || self.db.origin(self.settings.id).is_some() {
            return;
        }
        self.own.voice = Voice::Speaking;
        self.contest.disputed_until = None;
        self.own.epoch = self.own.epoch.max(self.contest.highest.saturating_add(1));
        self.own.sequence = 0;
        self.out.push(Output::EpochAdvanced(self.own.epoch));
        self.issue_all(now);
    }

    /// Falls silent. Our objects stay until the other's supersede them.
    pub(super) fn yield_voice(&mut self, now: Now) {
        self.own.voice = Voice::Yielded { since: now.instant };
        self.contest.abandon_move();
    }

    pub(super) fn raise_duplicate(&mut self, now: Now, other: u64, yielded: bool) {
        let remembered = self.settings.route_ttl + Duration::from_millis(CLOCK_SLACK_MS);
        self.contest.disputed_until = Some(now.instant + remembered);
        if self.contest.take_alarm(now.instant) || yielded {
            self.alarm(Alarm::DuplicateIdentity { other, yielded });
        }
    }

    pub(super) fn issue_all(&mut self, now: Now) {
        self.own.refresh_at = now.instant + self.settings.advertise_interval;
        self.own.refreshed = now;
        let mut issued: Vec<Stored> = self.issue_link(now).into_iter().collect();
        if !self.own.fragments.is_empty() {
            issued.extend(self.issue_routes(now, true));
        }
        self.relay(&issued, None);
    }

    fn issue_link(&mut self, now: Now) -> Option<Stored> {
        let told = self.adjacencies.iter_mut();
        let mut neighbors: Vec<Neighbor> = told
            .filter_map(|(id, adjacency)| Some(adjacency.tell()?.neighbor(*id)))
            .collect();
        let limit = self.settings.limits.neighbors_per_origin;
        if neighbors.len() > limit {
            let links = neighbors.len();
            if due(&mut self.limit_told, now.instant, TELL_INTERVAL) {
                self.alarm(Alarm::TooManyNeighbors { links, limit });
            }
            neighbors.truncate(limit);
        }
        let adv = LinkAdv {
            stamp: self.own.stamp(now, &self.settings),
            flags: LinkFlags {
                draining: self.own.draining,
                no_transit: !self.settings.transit || !self.own.admitted.may_transit(),
            },
            neighbors,
            display_name: cut(&self.settings.display_name, NAME_BYTES).to_owned(),
            features: Some(Features::OWN),
        };
        let signed = self.sign(Advertisement::Link(adv));
        self.own.link = Some(signed.clone());
        self.publish(now, signed)
    }

    /// Issues the fragments that changed, or all.
    fn issue_routes(&mut self, now: Now, all: bool) -> Vec<Stored> {
        let stamp = self.own.stamp(now, &self.settings);
        let fragments = self.own.cut_routes(&stamp);
        let count_changed = fragments.len() != self.own.fragments.len();
        self.own.fragments.truncate(fragments.len());
        let mut issued = Vec::new();
        for mut fragment in fragments {
            let index = usize::from(fragment.fragment);
            let old = self.own.fragments.get(index);
            let told = old.is_some_and(|old| says_the_same(old, &fragment));
            // The newest fragment states the count, so one has to be issued when that changes.
            if told && !all && !(count_changed && index == 0) {
                continue;
            }
            fragment.stamp = self.own.stamp(now, &self.settings);
            let signed = self.sign(Advertisement::Route(fragment));
            match self.own.fragments.get_mut(index) {
                Some(old) => *old = signed.clone(),
                None => self.own.fragments.push(signed.clone()),
            }
            issued.extend(self.publish(now, signed));
        }
        issued
    }

    fn sign(&self, adv: Advertisement) -> SignedAdv {
        SignedAdv::sign(adv, |message| self.authority.sign(message))
    }

    /// Stores an own advertisement, unless we are silent; then only our own view of us changes.
    fn publish(&mut self, now: Now, signed: SignedAdv) -> Option<Stored> {
        if !self.own.is_speaking() {
            self.out.changed(Change {
                topology: true,
                routes: true,
            });
            return None;
        }
        let stored = Stored::new(now, signed, self.settings.max_hops, 0)?;
        let change = self
            .db
            .insert(stored.clone(), &self.own.certificate, &self.own.admitted);
        self.out.changed(change);
        Some(stored)
    }

    fn grant_routes(&mut self, now: Now) {
        let routes = self.granted(self.own.configured.clone());
        self.own.set_routes(now.instant, routes);
    }

    /// `routes` sorted, without duplicates, cut to the limit, and without what is not granted.
    fn granted(&mut self, mut routes: OwnRoutes) -> OwnRoutes {
        routes.prefixes.sort_by_key(|(prefix, _)| *prefix);
        routes.prefixes.reverse();
        routes.prefixes.dedup_by_key(|(prefix, _)| *prefix);
        routes.prefixes.reverse();
        routes.domains.sort();
        routes.domains.dedup();
        let admitted = Arc::clone(&self.own.admitted);
        if let Some(grants) = &admitted.grants {
            routes.prefixes.retain(|(prefix, _)| {
                let granted = grants.allows_prefix(prefix);
                self.check_granted(granted, prefix);
                granted
            });
            routes.domains.retain(|domain: &DomainPattern| {
                let granted = grants.allows_domain(domain);
                self.check_granted(granted, domain);
                granted
            });
        }
        let limit = self.settings.limits.routes_per_origin;
        let count = routes.prefixes.len() + routes.domains.len();
        if count > limit {
            self.alarm(Alarm::TooManyRoutes {
                routes: count,
                limit,
            });
            routes.domains.truncate(limit);
            routes.prefixes.truncate(limit - routes.domains.len());
        }
        routes
    }

    fn check_granted(&mut self, granted: bool, route: &impl ToString) {
        if !granted {
            let route = route.to_string();
            self.alarm(Alarm::RouteNotGranted { route });
        }
    }
}

/// Whether a fragment issued before differs from `new` in its stamp and count at most.
fn says_the_same(old: &SignedAdv, new: &RouteAdv) -> bool {
    match old.advertisement() {
        Ok(Advertisement::Route(old)) => {
            old.prefixes == new.prefixes
                && old.domains == new.domains
                && (old.resolves, old.load) == (new.resolves, new.load)
        }
        Ok(Advertisement::Link(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests;

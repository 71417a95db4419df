//! Receiving advertisements: every check of docs/routing.md (*Flooding*), cheapest first,
//! verification before anything is stored or forwarded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::authority::{AdmitError, Admitted, Authority};
use super::contest::{Claim, Ruling, rule};
use super::core::Core;
use super::counters::AdvResult;
use super::origin::{Standing, Stored};
use super::output::{Alarm, DisconnectReason, Output};
use super::time::{CLOCK_SLACK_MS, Now, TELL_INTERVAL, due, ms_ahead};
use crate::config::Limits;
use crate::identity::{AgentId, MAX_EPOCH_AHEAD_MS};
use crate::wire::bounds::MAX_BODY_BYTES;
use crate::wire::{
    Advertisement, CertificateBytes, ControlMessage, Envelope, Flood, ObjectKey, ObjectKind,
    Request,
};

/// Least time between two requests to one neighbour for what came without a certificate.
const REPAIR_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that one origin may have stored, for each route that it may have: the longest name, in a fragment
/// of its own. Else one member could fill `limits.advertisement_bytes` with fragments that hold nothing,
/// or what only later releases read, and keep everybody's news out.
const BYTES_PER_ROUTE: usize = 512;

/// What one flood brought.
#[derive(Default)]
struct Batch {
    forward: Vec<Stored>,
    /// Came without the certificate to check it.
    unproven: Vec<ObjectKey>,
}

type Proven = (CertificateBytes, Arc<Admitted>);

impl<A: Authority> Core<A> {
    pub(super) fn receive_flood(&mut self, now: Now, from: AgentId, flood: Flood) {
        let mut batch = Batch::default();
        for envelope in flood.advertisements {
            let kind = envelope.adv.advertisement().ok().map(Advertisement::kind);
            let result = self
                .receive(now, from, &flood.certificates, envelope, &mut batch)
                .unwrap_or_else(|refused| refused);
            self.counters.count(kind, result);
            if result == AdvResult::BadSignature {
                break;
            }
        }
        self.relay(&batch.forward, Some(from));
        self.ask_for_unproven(now.instant, from, batch.unproven);
    }

    fn receive(
        &mut self,
        now: Now,
        from: AgentId,
        certificates: &[CertificateBytes],
        envelope: Envelope,
        batch: &mut Batch,
    ) -> Result<AdvResult, AdvResult> {
        let stored = place(now, envelope)?;
        let origin = stored.key.origin;
        self.check_date(now, from, &stored)?;
        self.check_size(&stored)?;
        let own = origin == self.settings.id && self.own.is_speaking();
        let ruling = own.then(|| self.rule_on(&stored));
        if ruling == Some(Ruling::Ignore) {
            return Err(AdvResult::Echo);
        }
        if ruling.is_none() {
            match self.db.standing(&stored.key) {
                Standing::New => self.check_pace(now.instant, &stored)?,
                Standing::Stale => return Err(AdvResult::Stale),
                Standing::Same => return self.receive_again(from, stored, batch),
            }
        }
        let proven = match self.find_proof(now, from, certificates, &stored) {
            Err(AdvResult::UnknownCertificate) => {
                batch.unproven.push(stored.key);
                return Err(AdvResult::UnknownCertificate);
            }
            found => found?,
        };
        self.check_signature(now, from, &stored, &proven.1)?;
        if let Some(ruling) = ruling {
            self.follow(now, ruling, &stored);
            if ruling != Ruling::Yield || self.db.standing(&stored.key) != Standing::New {
                return Ok(AdvResult::Contested);
            }
        }
        self.check_grants(now, &stored, &proven.1)?;
        self.check_room(&stored, &proven.0)?;
        let change = self.db.insert(stored.clone(), &proven.0, &proven.1);
        self.out.changed(change);
        self.pay_pace(now.instant, origin);
        self.mark_known(from, &stored);
        self.farthest = self.farthest.max(stored.distance);
        if origin == self.settings.id {
            self.contest.note(stored.key.version.epoch);
        }
        let proofs = self.db.origin(origin).map_or(&[][..], |o| &o.proofs);
        let left = stored.void_in(now, proofs);
        self.sweep_before(now, left);
        batch.forward.push(stored);
        Ok(AdvResult::Accepted)
    }

    /// Takes note of a shorter way here, which lets it travel farther on. It goes on again only if
    /// that may reach anybody new: whoever is in its reach from here is known here, so nobody is
    /// farther than what came the farthest way.
    fn receive_again(
        &mut self,
        from: AgentId,
        stored: Stored,
        batch: &mut Batch,
    ) -> Result<AdvResult, AdvResult> {
        self.mark_known(from, &stored);
        let reach = self.db.widen(&stored.key, stored.ttl, stored.distance);
        if reach.is_none_or(|reach| reach >= self.farthest) {
            return Err(AdvResult::Duplicate);
        }
        let origin = self.db.origin(stored.key.origin);
        let kept = origin.and_then(|origin| origin.object(stored.key.kind, stored.key.fragment));
        batch.forward.extend(kept.cloned());
        Ok(AdvResult::Widened)
    }

    fn check_date(&mut self, now: Now, from: AgentId, stored: &Stored) -> Result<(), AdvResult> {
        let stamp = stored.decoded().stamp();
        let (origin, skew) = (stamp.origin, ms_ahead(stamp.issued_at_ms, now.unix_ms));
        if stamp.epoch.saturating_sub(now.unix_ms) > MAX_EPOCH_AHEAD_MS {
            return Err(AdvResult::FutureDated);
        }
        if stamp.issued_at_ms.saturating_sub(now.unix_ms) > CLOCK_SLACK_MS {
            self.tell_skew(now, origin, skew);
            return Err(AdvResult::FutureDated);
        }
        if stamp.expires_at_ms().saturating_add(CLOCK_SLACK_MS) <= now.unix_ms {
            // On its way an advertisement may grow old, but no origin sends an old one of its own.
            if from == origin {
                self.tell_skew(now, origin, skew);
            }
            return Err(AdvResult::Expired);
        }
        Ok(())
    }

    fn tell_skew(&mut self, now: Now, origin: AgentId, ahead_ms: i64) {
        if self.skew_told.due(now.instant, origin) {
            self.alarm(Alarm::ClockSkew { origin, ahead_ms });
        }
    }

    fn check_size(&self, stored: &Stored) -> Result<(), AdvResult> {
        match stored.decoded() {
            Advertisement::Link(link)
                if link.neighbors.len() > self.settings.limits.neighbors_per_origin =>
            {
                Err(AdvResult::NeighborLimit)
            }
            Advertisement::Link(_) | Advertisement::Route(_) => Ok(()),
        }
    }

    /// The admitted certificate that the stamp names: one of the origin's, or one enclosed.
    fn find_proof(
        &mut self,
        now: Now,
        from: AgentId,
        certificates: &[CertificateBytes],
        stored: &Stored,
    ) -> Result<Proven, AdvResult> {
        let stamp = stored.decoded().stamp();
        let known = self.db.origin(stamp.origin);
        if let Some(proof) = known.and_then(|origin| origin.proof(&stamp.certificate_hash)) {
            let proven = (proof.certificate.clone(), Arc::clone(&proof.admitted));
            return current(now, proven);
        }
        if stamp.certificate_hash == *self.own.certificate.hash() {
            let own = (self.own.certificate.clone(), Arc::clone(&self.own.admitted));
            return of_origin(stamp.origin, own).and_then(|own| current(now, own));
        }
        let enclosed = certificates
            .iter()
            .find(|certificate| *certificate.hash() == stamp.certificate_hash)
            .ok_or(AdvResult::UnknownCertificate)?;
        self.pay_check(now, from)?;
        let admitted = self
            .authority
            .admit(enclosed.bytes(), now.unix_ms)
            .map_err(|error| match error {
                AdmitError::Malformed(_) | AdmitError::Untrusted(_) => AdvResult::Untrusted,
                AdmitError::OutsideValidity => AdvResult::CertificateExpired,
            })?;
        let proven = of_origin(stamp.origin, (enclosed.clone(), admitted))?;
        current(now, proven)
    }

    /// Verifies the signature. A bad one convicts the neighbour, because honest ones verify before
    /// they forward.
    fn check_signature(
        &mut self,
        now: Now,
        from: AgentId,
        stored: &Stored,
        signer: &Admitted,
    ) -> Result<(), AdvResult> {
        self.pay_check(now, from)?;
        let message = stored.adv.signing_message().ok_or(AdvResult::Malformed)?;
        let signature = stored.adv.signature();
        if self.authority.verify(signer, &message, signature) {
            return Ok(());
        }
        if let Some(session) = self.sessions.get_mut(&from) {
            session.convicted = true;
        }
        let origin = stored.key.origin;
        self.out.push(Output::Disconnect {
            neighbor: from,
            reason: DisconnectReason::BadSignature { origin },
        });
        Err(AdvResult::BadSignature)
    }

    fn check_grants(
        &mut self,
        now: Now,
        stored: &Stored,
        signer: &Admitted,
    ) -> Result<(), AdvResult> {
        let refused = match stored.decoded() {
            Advertisement::Link(link) => {
                let offers = !link.flags.no_transit && !signer.may_transit();
                offers.then(|| "transit".to_owned())
            }
            Advertisement::Route(route) => signer.first_not_granted(route),
        };
        let Some(route) = refused else {
            return Ok(());
        };
        if due(&mut self.refusal_told, now.instant, TELL_INTERVAL) {
            let origin = stored.key.origin;
            self.alarm(Alarm::NotGranted { origin, route });
        }
        Err(AdvResult::NotGranted)
    }

    fn check_room(&self, stored: &Stored, certificate: &CertificateBytes) -> Result<(), AdvResult> {
        let limits = &self.settings.limits;
        let known = self.db.origin(stored.key.origin);
        if known.is_none() && self.db.origin_count() >= limits.origins {
            return Err(AdvResult::OriginLimit);
        }
        let same_epoch = known.filter(|origin| origin.epoch() == stored.key.version.epoch);
        let besides = same_epoch.map_or(0, |origin| origin.bytes_besides(&stored.key));
        if besides + stored.adv.wire_bytes() > bytes_per_origin(limits) {
            return Err(AdvResult::MemoryLimit);
        }
        if let Advertisement::Route(route) = stored.decoded() {
            let others = same_epoch.map_or(0, |origin| origin.routes_besides(route.fragment));
            if others + route.prefixes.len() + route.domains.len() > limits.routes_per_origin {
                return Err(AdvResult::RouteLimit);
            }
        }
        let proven = known.is_some_and(|origin| origin.proof(certificate.hash()).is_some());
        let proof = if proven { 0 } else { certificate.wire_bytes() };
        let freed = self.db.replaced_bytes(&stored.key);
        let bytes = self.db.bytes() + stored.adv.wire_bytes() + proof - freed;
        if bytes > limits.advertisement_bytes {
            return Err(AdvResult::MemoryLimit);
        }
        Ok(())
    }

    fn rule_on(&self, stored: &Stored) -> Ruling {
        let issued = match stored.key.kind {
            ObjectKind::Link => self.own.link.as_ref(),
            ObjectKind::Route => self.own.fragments.get(usize::from(stored.key.fragment)),
        };
        let claim = Claim {
            incarnation: self.own.incarnation,
            epoch: self.own.epoch,
            sequence: self.own.sequence,
            issued: issued.and_then(|adv| adv.key()).map(|key| key.version),
        };
        rule(&claim, stored.decoded().stamp(), &stored.key.version)
    }

    fn follow(&mut self, now: Now, ruling: Ruling, stored: &Stored) {
        let other = stored.decoded().stamp().incarnation;
        let epoch = stored.key.version.epoch;
        self.contest.note(epoch);
        match ruling {
            Ruling::Ignore => {}
            Ruling::MovePast => self.contest.want_move(now.instant, epoch, other),
            Ruling::Outlast => {
                self.raise_duplicate(now, other, false);
                self.contest.want_move(now.instant, epoch, other);
            }
            Ruling::Yield => {
                self.yield_voice(now);
                self.raise_duplicate(now, other, true);
            }
        }
    }

    /// The sender has what it sent, certificate included.
    fn mark_known(&mut self, from: AgentId, stored: &Stored) {
        let Some(session) = self.sessions.get(&from) else {
            return;
        };
        let hash = &stored.decoded().stamp().certificate_hash;
        if let Some(origin) = self.db.origin_mut(stored.key.origin) {
            for proof in &mut origin.proofs {
                if proof.certificate.hash() == hash {
                    proof.sent.insert(session.slot);
                }
            }
        }
    }

    fn pay_check(&mut self, now: Now, from: AgentId) -> Result<(), AdvResult> {
        let session = self.sessions.get_mut(&from);
        if session.is_some_and(|session| session.signatures.take(now.instant, 1)) {
            Ok(())
        } else {
            Err(AdvResult::SignatureRate)
        }
    }

    /// The sender may think that we have a certificate that we dropped: its answers enclose them.
    fn ask_for_unproven(&mut self, now: Instant, from: AgentId, unproven: Vec<ObjectKey>) {
        if unproven.is_empty() {
            return;
        }
        let Some(session) = self.sessions.get_mut(&from) else {
            return;
        };
        if !session.convicted && due(&mut session.repaired, now, REPAIR_INTERVAL) {
            self.out.push(Output::Send {
                to: from,
                message: ControlMessage::Request(Request { objects: unproven }),
            });
        }
    }
}

/// Decodes, and works out how far from the origin we are and how far it may still go. The envelope
/// is unsigned: it can shorten the reach that the origin signed, never lengthen it.
fn place(now: Now, envelope: Envelope) -> Result<Stored, AdvResult> {
    let distance = envelope.hops.saturating_add(1);
    let adv = envelope.adv.advertisement();
    let max_hops = adv.map_err(|_| AdvResult::Malformed)?.stamp().max_hops;
    let left = max_hops.checked_sub(distance).ok_or(AdvResult::TooFar)?;
    let ttl = envelope.ttl.min(left);
    Stored::new(now, envelope.adv, ttl, distance).ok_or(AdvResult::Malformed)
}

/// Bytes of advertisements that one origin may have stored: links, and its routes at their longest; half of
/// all at most.
fn bytes_per_origin(limits: &Limits) -> usize {
    let routes = limits.routes_per_origin.saturating_mul(BYTES_PER_ROUTE);
    let whole = routes.saturating_add(2 * MAX_BODY_BYTES);
    whole.min(limits.advertisement_bytes / 2)
}

fn of_origin(origin: AgentId, proven: Proven) -> Result<Proven, AdvResult> {
    if proven.1.id == origin {
        Ok(proven)
    } else {
        Err(AdvResult::ForeignCertificate)
    }
}

fn current(now: Now, proven: Proven) -> Result<Proven, AdvResult> {
    if proven.1.not_after_ms > now.unix_ms {
        Ok(proven)
    } else {
        Err(AdvResult::CertificateExpired)
    }
}

#[cfg(test)]
mod tests;

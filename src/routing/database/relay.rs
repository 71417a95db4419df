//! Sending advertisements: who needs which, cut into messages that fit.

use super::authority::Authority;
use super::core::Core;
use super::origin::Stored;
use super::output::Output;
use super::session::Session;
use crate::identity::AgentId;
use crate::wire::{ControlMessage, Envelope, Flood};

/// Which certificates go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enclose {
    /// Those that the neighbour was not sent in this session.
    Missing,
    All,
}

impl<A: Authority> Core<A> {
    /// Forwards to every neighbour that may lack it.
    pub(super) fn relay(&mut self, items: &[Stored], except: Option<AgentId>) {
        if items.is_empty() {
            return;
        }
        let neighbors: Vec<AgentId> = self.sessions.keys().copied().collect();
        for to in neighbors {
            if Some(to) == except {
                continue;
            }
            let Some(session) = self.sessions.get(&to) else {
                continue;
            };
            let wanted: Vec<Stored> = items
                .iter()
                .filter(|stored| stored.ttl > 0 && !is_echo(to, session, stored))
                .cloned()
                .collect();
            self.send_floods(to, wanted, Enclose::Missing);
        }
    }

    /// Sends `items` in as few messages as fit.
    pub(super) fn send_floods(&mut self, to: AgentId, items: Vec<Stored>, enclose: Enclose) {
        let Some(session) = self.sessions.get(&to).filter(|session| !session.convicted) else {
            return;
        };
        let limit = self.settings.limits.control_message / 2;
        let slot = session.slot;
        let mut flood = Flood::default();
        let mut bytes = 0;
        for stored in items {
            let hash = stored.decoded().stamp().certificate_hash;
            let proof = self.db.origin_mut(stored.key.origin).and_then(|origin| {
                let mut proofs = origin.proofs.iter_mut();
                proofs.find(|proof| *proof.certificate.hash() == hash)
            });
            let Some(proof) = proof else {
                continue;
            };
            let enclosed = flood.certificates.contains(&proof.certificate);
            let missing = match enclose {
                Enclose::Missing => !proof.sent.contains(slot),
                Enclose::All => !enclosed,
            };
            let certificate = missing.then(|| proof.certificate.clone());
            let size = stored.adv.wire_bytes()
                + certificate
                    .as_ref()
                    .map_or(0, |certificate| certificate.wire_bytes());
            if bytes + size > limit && !flood.advertisements.is_empty() {
                self.out.push(flood_to(to, std::mem::take(&mut flood)));
                bytes = 0;
            }
            bytes += size;
            proof.sent.insert(slot);
            flood.certificates.extend(certificate);
            flood.advertisements.push(Envelope {
                ttl: stored.ttl.saturating_sub(1),
                hops: stored.distance,
                adv: stored.adv,
            });
        }
        if !flood.advertisements.is_empty() {
            self.out.push(flood_to(to, flood));
        }
    }
}

fn flood_to(to: AgentId, flood: Flood) -> Output {
    Output::Send {
        to,
        message: ControlMessage::Flood(flood),
    }
}

/// Whether it is the neighbour's own word. What another process said in its name it has to hear.
fn is_echo(to: AgentId, session: &Session, stored: &Stored) -> bool {
    stored.key.origin == to && stored.decoded().stamp().incarnation == session.peer_epoch
}

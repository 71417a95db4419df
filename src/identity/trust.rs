//! Whom this agent accepts: certificates that a mesh CA signed itself, and pinned ids. Nobody else.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::aws_lc_rs::ED25519;
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext, VerifiedPath,
};

use super::pem::Pem;
use super::roots::{Root, TrustLoadError};
use super::{AgentId, Certificate, CertificateError, Credential, Revoked, ValidityAt};
use crate::clock::format_date;

/// How long a connection outlives its certificate, seconds: clocks may be so far apart.
const CLOCK_SLACK: u64 = 120;

/// The trust that handshakes and advertisements are judged by.
#[derive(Debug)]
pub struct Trust {
    /// Replaced as a whole, under whoever judges by it.
    anchors: RwLock<Arc<Anchors>>,
    /// Who is trusted no more, by whatever.
    revoked: Revoked,
}

/// Who is trusted.
#[derive(Clone, Debug, PartialEq)]
struct Anchors {
    roots: Vec<Root>,
    /// CAs of one peer each, beside those of the mesh: handshakes with it are judged by [`Trust::with_ca`].
    /// Here they only end its link.
    peer_roots: Vec<Root>,
    pinned: BTreeSet<AgentId>,
}

/// Why a peer is refused. The text begins with what [`TrustError::label`] returns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    #[error("no certificate: the peer presented none")]
    NoCertificate,
    #[error("bad certificate: {0}")]
    BadCertificate(#[from] CertificateError),
    #[error(
        "wrong id: expected agent {expected}, found {found}; correct `peers[].id` or the address"
    )]
    WrongId { expected: AgentId, found: AgentId },
    #[error("revoked: agent {id}, or its certificate, was taken out of the mesh")]
    Revoked { id: AgentId },
    #[error("expired: the certificate of agent {id} ended {}", format_date(*not_after))]
    Expired { id: AgentId, not_after: u64 },
    #[error(
        "not yet valid: the certificate of agent {id} begins {}; check both clocks",
        format_date(*not_before)
    )]
    NotYetValid { id: AgentId, not_before: u64 },
    #[error(
        "stranger: agent {id} has a self-signed certificate and is not in `trust.allow` (nor, \
         without a CA, in `peers`)"
    )]
    Stranger { id: AgentId },
    #[error("foreign CA: the certificate of agent {id} is from {issuer:?}, which is not a mesh CA")]
    ForeignCa { id: AgentId, issuer: String },
    #[error("expired CA: {ca:?}, which issued the certificate of agent {id}, is not valid now")]
    ExpiredCa { id: AgentId, ca: String },
    #[error("expired CA: that of agent {id} ended {}", format_date(*ca_not_after))]
    EndedCa { id: AgentId, ca_not_after: u64 },
    #[error("not granted: the certificate of agent {id} does not let it be {role}")]
    NotGranted { id: AgentId, role: &'static str },
    #[error(
        "rejected chain: the certificate of agent {id} is not accepted under the mesh CA: {reason}"
    )]
    RejectedChain { id: AgentId, reason: webpki::Error },
}

impl Trust {
    /// Trusts the CAs in these files, or in this PEM, and the pinned ids (`trust.allow`, and `peers[].id` where
    /// there is no CA).
    ///
    /// With neither, nobody is trusted.
    pub fn new(
        cas: impl IntoIterator<Item: Into<Pem>>,
        pinned: BTreeSet<AgentId>,
    ) -> Result<Self, TrustLoadError> {
        Ok(Self::of(Anchors {
            roots: Root::read_all(cas)?,
            peer_roots: Vec::new(),
            pinned,
        }))
    }

    fn of(anchors: Anchors) -> Self {
        Self {
            anchors: RwLock::new(Arc::new(anchors)),
            revoked: Revoked::default(),
        }
    }

    /// The trust of the whole mesh: `tls.ca` if the file names it, else every `peers[].tls.ca`.
    pub fn mesh<'a>(
        own_ca: Option<&Pem>,
        peer_cas: impl IntoIterator<Item = &'a Pem>,
        pinned: BTreeSet<AgentId>,
    ) -> Result<Self, TrustLoadError> {
        // A set, because many peers share one file.
        let peer_cas: BTreeSet<&Pem> = peer_cas.into_iter().collect();
        match own_ca {
            Some(ca) => Ok(Self::of(Anchors {
                roots: Root::read_all([ca])?,
                peer_roots: Root::read_all(peer_cas)?,
                pinned,
            })),
            None => Self::new(peer_cas, pinned),
        }
    }

    /// The trust for the connection to one peer whose `tls.ca` overrides the mesh CA.
    pub fn with_ca(&self, ca: &Pem) -> Result<Self, TrustLoadError> {
        let trust = Self::new([ca], self.anchors().pinned.clone())?;
        Ok(trust.with_revoked(self.revoked.clone()))
    }

    /// Trusts nobody who is `revoked`, now or later.
    #[must_use]
    pub fn with_revoked(self, revoked: Revoked) -> Self {
        Self { revoked, ..self }
    }

    /// Trusts as `other` does from now on, but for whom it revokes; whether that is a change.
    pub fn replace(&self, other: &Self) -> bool {
        let other = other.anchors();
        let mut anchors = self.anchors.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **anchors != *other;
        *anchors = other;
        changed
    }

    fn anchors(&self) -> Arc<Anchors> {
        let anchors = self.anchors.read().unwrap_or_else(PoisonError::into_inner);
        anchors.clone()
    }

    /// Why a connection that was made with this certificate would not be made any more, now that the
    /// trust is another one. CAs of single peers count.
    pub fn refuses(&self, credential: &Credential, unix_time: u64) -> Option<TrustError> {
        let anchors = self.anchors();
        let all = Anchors {
            roots: anchors
                .roots
                .iter()
                .chain(&anchors.peer_roots)
                .cloned()
                .collect(),
            ..(*anchors).clone()
        };
        let wide = Self::of(all).with_revoked(self.revoked.clone());
        let leaf = CertificateDer::from(credential.leaf.der());
        wide.verify(&[leaf], unix_time).err()
    }

    /// Who is trusted no more.
    pub fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// Why a connection that was made with this certificate must end at `unix_time` (seconds): it was
    /// revoked, or it or its CA has ended longer ago than clocks are apart. `None`: it may go on. The
    /// first call for a certificate checks signatures, to find its CA.
    pub fn ends(&self, credential: &Credential, unix_time: u64) -> Option<TrustError> {
        let Credential {
            id,
            ref serial,
            not_after,
            ref leaf,
        } = *credential;
        if self.revoked.covers(id, serial) {
            return Some(TrustError::Revoked { id });
        }
        let is_over = |end: u64| unix_time > end.saturating_add(CLOCK_SLACK);
        if is_over(not_after) {
            return Some(TrustError::Expired { id, not_after });
        }
        let ca_not_after = leaf.ca_not_after(|der| self.ca_not_after(id, der));
        is_over(ca_not_after).then_some(TrustError::EndedCa { id, ca_not_after })
    }

    /// The end of the CA that signed this leaf; the last one if several did. For ever, if none counts.
    fn ca_not_after(&self, id: AgentId, der: &[u8]) -> u64 {
        let der = CertificateDer::from(der);
        let (Ok(certificate), Ok(end_entity)) =
            (Certificate::parse(&der), EndEntityCert::try_from(&der))
        else {
            return u64::MAX;
        };
        if self.is_pinned(id) {
            return u64::MAX;
        }
        // A moment at which the leaf was valid.
        let at = certificate.not_before;
        let signed = |root: &&Root| {
            let anchor = std::slice::from_ref(&root.anchor);
            chain(&end_entity, anchor, at).is_ok()
        };
        let anchors = self.anchors();
        let roots = anchors
            .roots
            .iter()
            .chain(&anchors.peer_roots)
            .filter(signed);
        let ends = roots.map(|root| root.certificate.not_after);
        ends.max().unwrap_or(u64::MAX)
    }

    /// Whether the id is accepted without a CA.
    pub fn is_pinned(&self, id: AgentId) -> bool {
        self.anchors().pinned.contains(&id)
    }

    /// Until when (the last second, Unix time, clock slack included) a mesh CA stands for what this
    /// certificate says, be its agent pinned or not: what a pinned agent says in a certificate of its own
    /// is nobody else's word. `None`: none that is valid at `unix_time` (seconds) signed it.
    pub fn vouches_until(&self, certificate: &Certificate, unix_time: u64) -> Option<u64> {
        let der = CertificateDer::from(certificate.der());
        let end_entity = EndEntityCert::try_from(&der).ok()?;
        let issued = self.verify_issuer(certificate, &end_entity, unix_time);
        let until = issued.ok()?.min(certificate.not_after);
        Some(until.saturating_add(CLOCK_SLACK))
    }

    /// Accepts a chain (DER, leaf first) whose leaf a mesh CA signed, or whose id is pinned, and
    /// that is valid at `unix_time` (seconds). Whatever follows the leaf is not looked at: an
    /// advertisement carries the agent's certificate alone, so that an agent with a CA in between
    /// could make links and would never be believed. The end of a CA that ends before the leaf is the
    /// end of the certificate that is returned.
    ///
    /// Possession of the key is not proven here: a handshake or a signature does that.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        unix_time: u64,
    ) -> Result<Certificate, TrustError> {
        self.verify_as(None, chain, unix_time)
    }

    /// As [`Trust::verify`], and the peer must be `expected` if that is given.
    pub fn verify_as(
        &self,
        expected: Option<AgentId>,
        chain: &[CertificateDer<'_>],
        unix_time: u64,
    ) -> Result<Certificate, TrustError> {
        let leaf = chain.first().ok_or(TrustError::NoCertificate)?;
        let mut certificate = Certificate::parse(leaf)?;
        let id = certificate.id;
        // The TLS library reads the leaf with this parser; both must have seen the same key.
        let end_entity = EndEntityCert::try_from(leaf)
            .map_err(|error| CertificateError::Malformed(error.to_string()))?;
        if AgentId::from_spki(&end_entity.subject_public_key_info()) != id {
            return Err(CertificateError::Malformed("ambiguous public key".into()).into());
        }
        match expected {
            Some(expected) if expected != id => {
                return Err(TrustError::WrongId {
                    expected,
                    found: id,
                });
            }
            Some(_) | None => {}
        }
        if self.revoked.covers(id, &certificate.serial) {
            return Err(TrustError::Revoked { id });
        }
        match certificate.validity_at(unix_time) {
            ValidityAt::Valid => {}
            ValidityAt::NotYet => {
                let not_before = certificate.not_before;
                return Err(TrustError::NotYetValid { id, not_before });
            }
            ValidityAt::Expired => {
                let not_after = certificate.not_after;
                return Err(TrustError::Expired { id, not_after });
            }
        }
        if !self.is_pinned(id) {
            let ca_not_after = self.verify_issuer(&certificate, &end_entity, unix_time)?;
            certificate.not_after = certificate.not_after.min(ca_not_after);
        }
        Ok(certificate)
    }

    /// The end of the CA that signed the leaf.
    fn verify_issuer(
        &self,
        certificate: &Certificate,
        end_entity: &EndEntityCert<'_>,
        unix_time: u64,
    ) -> Result<u64, TrustError> {
        let id = certificate.id;
        let trusted = self.anchors();
        let roots = trusted.roots.iter();
        let anchors: Vec<_> = roots.map(|root| root.anchor.clone()).collect();
        let path = chain(end_entity, &anchors, unix_time).map_err(|reason| match reason {
            webpki::Error::UnknownIssuer if certificate.self_issued => TrustError::Stranger { id },
            // The second: another CA of the same name.
            webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
                TrustError::ForeignCa {
                    id,
                    issuer: certificate.issuer.clone(),
                }
            }
            reason => TrustError::RejectedChain { id, reason },
        })?;
        // The path search ignores the period of the CA itself.
        let valid = |root: &&Root| root.certificate.validity_at(unix_time) == ValidityAt::Valid;
        let roots = trusted.roots.iter();
        let signed = roots.filter(|root| root.anchor == *path.anchor());
        let ends = signed.filter(valid).map(|root| root.certificate.not_after);
        ends.max().ok_or_else(|| TrustError::ExpiredCa {
            id,
            ca: certificate.issuer.clone(),
        })
    }
}

/// The way from the leaf to one of the anchors.
fn chain<'a>(
    end_entity: &'a EndEntityCert<'_>,
    anchors: &'a [TrustAnchor<'_>],
    unix_time: u64,
) -> Result<VerifiedPath<'a>, webpki::Error> {
    let time = UnixTime::since_unix_epoch(Duration::from_secs(unix_time));
    end_entity.verify_for_usage(&[ED25519], anchors, &[], time, PeerUsage, None, None)
}

impl TrustError {
    /// The kind of refusal in one to three words: for metrics, and the start of the text.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no certificate",
            Self::BadCertificate(_) => "bad certificate",
            Self::WrongId { .. } => "wrong id",
            Self::Revoked { .. } => "revoked",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not yet valid",
            Self::Stranger { .. } => "stranger",
            Self::ForeignCa { .. } => "foreign CA",
            Self::ExpiredCa { .. } | Self::EndedCa { .. } => "expired CA",
            Self::NotGranted { .. } => "not granted",
            Self::RejectedChain { .. } => "rejected chain",
        }
    }
}

/// An agent's certificate must allow both roles of TLS if it restricts roles at all: the same
/// certificate dials and accepts. Certificates for other purposes from the same CA stay out.
struct PeerUsage;

impl ExtendedKeyUsageValidator for PeerUsage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        for purpose in purposes {
            present.push(purpose?.to_decoded_oid());
        }
        let roles = [
            (KeyUsage::server_auth(), KeyUsage::SERVER_AUTH_REPR),
            (KeyUsage::client_auth(), KeyUsage::CLIENT_AUTH_REPR),
        ];
        for (required, oid) in roles {
            if !present.is_empty() && !present.iter().any(|purpose| purpose == oid) {
                return Err(webpki::Error::RequiredEkuNotFoundContext(
                    RequiredEkuNotFoundContext { required, present },
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

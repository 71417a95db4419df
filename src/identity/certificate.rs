//! Reading agent certificates: one Ed25519 key, a validity period, perhaps grants.

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::likeness::{holds_grant, holds_scheme, is_like_grant, is_named_grant};
use super::{AgentId, Credential, GrantError, Grants, Leaf, Roles, Serial};

/// DER SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 section 4).
///
/// Only this encoding is accepted: ids are hashes of it, and a key must have exactly one id.
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Characters of a misplaced grant that an error shows.
const MAX_SHOWN: usize = 80;

/// What a certificate says. Reading it proves nothing: see [`Trust`](super::Trust).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub id: AgentId,
    /// Ed25519.
    pub public_key: [u8; 32],
    /// SHA-256 of the DER certificate.
    pub fingerprint: [u8; 32],
    pub serial: Serial,
    /// The subject's common name.
    pub common_name: Option<String>,
    /// The issuer's common name, or its whole name where it has none.
    pub issuer: String,
    /// Issuer and subject are the same name.
    pub self_issued: bool,
    /// It may sign other certificates.
    pub is_ca: bool,
    /// First second of validity, Unix time; 0 for dates before 1970.
    pub not_before: u64,
    /// Last second of validity, Unix time; 0 for dates before 1970.
    pub not_after: u64,
    /// `None`: it says nothing, so the agent may be and originate anything.
    pub grants: Option<Grants>,
    der: Vec<u8>,
}

/// Where a moment lies relative to a certificate's validity period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidityAt {
    NotYet,
    Valid,
    Expired,
}

/// Why a certificate cannot be used, whoever signed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("not a valid X.509 certificate: {0}")]
    Malformed(String),
    #[error("the key is not Ed25519; agents use Ed25519 keys only")]
    NotEd25519,
    #[error(transparent)]
    Grant(#[from] GrantError),
}

impl Certificate {
    /// Reads a DER certificate.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, x509) = X509Certificate::from_der(der).map_err(malformed)?;
        if !rest.is_empty() {
            return Err(malformed("bytes after its end"));
        }
        let spki = x509.public_key().raw;
        let public_key = spki
            .strip_prefix(&ED25519_SPKI)
            .and_then(|key| <[u8; 32]>::try_from(key).ok())
            .ok_or(CertificateError::NotEd25519)?;
        let is_ca = x509
            .basic_constraints()
            .map_err(malformed)?
            .is_some_and(|constraints| constraints.value.ca);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.as_ref());
        let validity = x509.validity();
        Ok(Self {
            id: AgentId::from_spki(spki),
            public_key,
            fingerprint,
            serial: Serial::from_octets(x509.raw_serial()),
            common_name: common_name(x509.subject()),
            issuer: common_name(x509.issuer()).unwrap_or_else(|| x509.issuer().to_string()),
            self_issued: x509.issuer().as_raw() == x509.subject().as_raw(),
            is_ca,
            not_before: unix_seconds(validity.not_before.timestamp()),
            not_after: unix_seconds(validity.not_after.timestamp()),
            grants: read_grants(&x509, is_ca)?,
            der: der.to_owned(),
        })
    }

    /// What decides whether a connection that was made with it may go on.
    pub fn credential(&self) -> Credential {
        Credential {
            id: self.id,
            serial: self.serial.clone(),
            not_after: self.not_after,
            leaf: Leaf::new(&self.der),
        }
    }

    /// Whether somebody signed it without saying what its agent may do, as certificates were before
    /// there was a word for it: the agent may do everything.
    pub fn is_silent(&self) -> bool {
        self.grants.is_none() && !self.self_issued && !self.is_ca
    }

    /// As it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The parts in the mesh that it allows.
    pub fn roles(&self) -> Roles {
        self.grants.as_ref().map_or(Roles::ALL, Grants::roles)
    }

    /// What the operator of an agent with these parts should hear about it; empty: nothing.
    pub fn warnings(&self, parts: Roles) -> Vec<String> {
        let silent = "the certificate says nothing of what this agent may originate, so it may \
                      originate anything; renew it with `warren cert agent --renew` and --route, \
                      --domain, --resolve, --ingress, --transit, --exit or --unrestricted";
        let missing = parts.without(self.roles());
        let missing = missing.names().map(|role| {
            format!(
                "the certificate does not let this agent be {role}, so others refuse it; renew \
                 it with `warren cert agent --renew --{role}` and what else it grants"
            )
        });
        let silent = self.is_silent().then(|| silent.to_owned());
        silent.into_iter().chain(missing).collect()
    }

    /// Where `unix_time` (seconds) lies relative to the validity period; both ends are inside.
    pub fn validity_at(&self, unix_time: u64) -> ValidityAt {
        if unix_time < self.not_before {
            ValidityAt::NotYet
        } else if unix_time > self.not_after {
            ValidityAt::Expired
        } else {
            ValidityAt::Valid
        }
    }
}

fn malformed(reason: impl std::fmt::Display) -> CertificateError {
    CertificateError::Malformed(reason.to_string())
}

fn unix_seconds(timestamp: i64) -> u64 {
    u64::try_from(timestamp).unwrap_or(0)
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    let attribute = name.iter_common_name().next()?;
    attribute.as_str().ok().map(ToOwned::to_owned)
}

/// The grants among the subject alternative names. A name that cannot be read might have been a
/// grant, so it refuses the certificate; and so does what begins like one elsewhere, where it would
/// grant nothing.
fn read_grants(
    x509: &X509Certificate<'_>,
    is_ca: bool,
) -> Result<Option<Grants>, CertificateError> {
    if !is_ca {
        refuse_misplaced(x509)?;
    }
    let Some(names) = x509.subject_alternative_name().map_err(malformed)? else {
        return Ok(None);
    };
    let mut uris = Vec::new();
    for name in &names.value.general_names {
        match name {
            GeneralName::URI(uri) => uris.push(*uri),
            GeneralName::Invalid(..) => {
                return Err(malformed("a subject alternative name is unreadable"));
            }
            GeneralName::DNSName(text) | GeneralName::RFC822Name(text) => {
                if is_like_grant(text) {
                    return Err(misplaced(text, "a name that is no URI"));
                }
            }
            GeneralName::OtherName(_, bytes) | GeneralName::IPAddress(bytes) => {
                refuse_bytes(bytes, "a name that is no URI")?;
            }
            GeneralName::X400Address(any) | GeneralName::EDIPartyName(any) => {
                refuse_bytes(any.data, "a name that is no URI")?;
            }
            GeneralName::DirectoryName(name) => refuse_name(name)?,
            GeneralName::RegisteredID(_) => {}
        }
    }
    Ok(Grants::from_uris(uris)?)
}

/// Refuses a grant in the subject, or in another extension than that of the subject's alternative names.
/// What only looks like one there may be an organisation's unit, or the address of a list on a host.
fn refuse_misplaced(x509: &X509Certificate<'_>) -> Result<(), CertificateError> {
    refuse_name(x509.subject())?;
    let others = x509
        .extensions()
        .iter()
        .filter(|extension| extension.oid != OID_X509_EXT_SUBJECT_ALT_NAME);
    for extension in others {
        if holds_grant(extension.value) {
            let text = String::from_utf8_lossy(extension.value);
            return Err(misplaced(&text, "another extension"));
        }
    }
    Ok(())
}

fn refuse_name(name: &X509Name<'_>) -> Result<(), CertificateError> {
    for attribute in name.iter_attributes() {
        let text = String::from_utf8_lossy(attribute.attr_value().data);
        if is_named_grant(&text) {
            return Err(misplaced(&text, "the subject"));
        }
    }
    Ok(())
}

fn refuse_bytes(bytes: &[u8], place: &str) -> Result<(), CertificateError> {
    if holds_scheme(bytes) {
        return Err(misplaced(&String::from_utf8_lossy(bytes), place));
    }
    Ok(())
}

fn misplaced(text: &str, place: &str) -> CertificateError {
    let reason = format!("it is in {place}; grants are URI subject alternative names");
    let text = text.chars().take(MAX_SHOWN).collect();
    GrantError { text, reason }.into()
}

/// Certificates in a chain that [`split_chain`] reads.
const MAX_CHAIN: usize = 4;

/// Splits DER certificates that stand one after the other, leaf first; `None` if the bytes are
/// anything else, or more than 4.
pub fn split_chain(bytes: &[u8]) -> Option<Vec<CertificateDer<'_>>> {
    let mut chain = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (after, _) = X509Certificate::from_der(rest).ok()?;
        chain.push(CertificateDer::from(&rest[..rest.len() - after.len()]));
        rest = after;
    }
    (1..=MAX_CHAIN).contains(&chain.len()).then_some(chain)
}

#[cfg(test)]
mod tests;

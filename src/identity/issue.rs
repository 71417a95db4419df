//! Writing certificates: the mesh CA, agent certificates under it, self-signed ones.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use super::certificate::{Certificate, CertificateError};
use super::files::{self, PUBLIC, SECRET, Warning};
use super::keys;
use super::pem::PemError;
use super::{AgentId, Grants};
use crate::clock::format_date;

const DAY: u64 = 86_400;

/// Seconds that a certificate is valid before it was made, for peers whose clock is behind.
const BACKDATE: u64 = 3_600;

/// Name of a CA's certificate in its folder.
pub const CA_CERTIFICATE: &str = "ca.crt";
/// Name of a CA's key in its folder.
pub const CA_KEY: &str = "ca.key";

/// A validity period, Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: u64,
    pub not_after: u64,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error(transparent)]
    Key(#[from] PemError),
    #[error("the system gave no randomness")]
    NoRandomness,
    #[error("{0} s after 1970 is no date that a certificate can hold")]
    Date(u64),
    #[error("cannot encode the certificate")]
    Encode(#[from] rcgen::Error),
    #[error("the new certificate does not read back")]
    ReadBack(#[from] CertificateError),
    #[error(
        "valid until {}, longer than its CA, which ends {}; ask for fewer days",
        format_date(*.not_after),
        format_date(*.ca_not_after)
    )]
    OutlivesCa { not_after: u64, ca_not_after: u64 },
}

/// A CA could not be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("{} is not usable", path.display())]
    Certificate {
        path: PathBuf,
        source: CertificateError,
    },
    #[error("{} is no CA certificate; make one with `warren cert ca`", path.display())]
    NotCa { path: PathBuf },
    #[error("{} does not belong to {}", key.display(), certificate.display())]
    KeyMismatch { key: PathBuf, certificate: PathBuf },
    #[error("cannot use {} to sign", path.display())]
    Unusable { path: PathBuf, source: rcgen::Error },
}

/// A certificate or key could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{} exists and is never overwritten; choose another name or folder", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write {}; check the folder's owner, mode and free space", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A certificate and its key, ready to be written.
pub struct Issued {
    pub id: AgentId,
    pub certificate: CertificateDer<'static>,
    pub certificate_pem: String,
    /// PKCS#8.
    pub key_pem: String,
    pub(super) key_pkcs8: PrivatePkcs8KeyDer<'static>,
}

/// A mesh CA: signs agent certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    not_after: u64,
}

impl Validity {
    /// From an hour before `now` (clocks differ) until `days` after it.
    pub fn days(now: u64, days: u32) -> Self {
        Self {
            not_before: now.saturating_sub(BACKDATE),
            not_after: now.saturating_add(u64::from(days) * DAY),
        }
    }
}

impl Authority {
    /// A new CA with a new Ed25519 key, in memory, and what to store or to trust of it.
    pub fn create(name: &str, validity: Validity) -> Result<(Self, Issued), IssueError> {
        let key = generate_key()?;
        let mut params = params(name, validity)?;
        // No intermediates: advertisements carry the agent's certificate alone.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issued = Issued::new(&params.self_signed(&key)?, &key)?;
        let authority = Self {
            issuer: Issuer::new(params, key),
            not_after: validity.not_after,
        };
        Ok((authority, issued))
    }

    /// What the operator should hear about the key of the CA in `dir`.
    pub fn warning(dir: &Path) -> Option<Warning> {
        files::check_key_mode(&dir.join(CA_KEY)).ok().flatten()
    }

    /// The CA whose `ca.crt` and `ca.key` are in `dir`.
    pub fn load(dir: &Path) -> Result<Self, AuthorityError> {
        let (path, key_path) = (dir.join(CA_CERTIFICATE), dir.join(CA_KEY));
        let certificate = keys::read_certificates(&path)?.swap_remove(0);
        let parsed =
            Certificate::parse(&certificate).map_err(|source| AuthorityError::Certificate {
                path: path.clone(),
                source,
            })?;
        if !parsed.is_ca {
            return Err(AuthorityError::NotCa { path });
        }
        let unusable = |source| AuthorityError::Unusable {
            path: key_path.clone(),
            source,
        };
        let key = keys::read_key(&key_path)?;
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&key.pkcs8, &PKCS_ED25519).map_err(unusable)?;
        if key.public_key_raw() != parsed.public_key {
            return Err(AuthorityError::KeyMismatch {
                key: key_path,
                certificate: path,
            });
        }
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&certificate, key).map_err(unusable)?,
            not_after: parsed.not_after,
        })
    }

    /// A new agent key and its certificate. `grants`: `None` leaves the agent unrestricted.
    pub fn issue(
        &self,
        name: &str,
        grants: Option<&Grants>,
        validity: Validity,
    ) -> Result<Issued, IssueError> {
        self.sign(&generate_key()?, name, grants, validity)
    }

    /// A new certificate for the key in a PEM file, which keeps its agent's id.
    pub fn reissue(
        &self,
        key: &Path,
        name: &str,
        grants: Option<&Grants>,
        validity: Validity,
    ) -> Result<Issued, IssueError> {
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&keys::read_key(key)?.pkcs8, &PKCS_ED25519)?;
        self.sign(&key, name, grants, validity)
    }

    fn sign(
        &self,
        key: &KeyPair,
        name: &str,
        grants: Option<&Grants>,
        validity: Validity,
    ) -> Result<Issued, IssueError> {
        if validity.not_after > self.not_after {
            return Err(IssueError::OutlivesCa {
                not_after: validity.not_after,
                ca_not_after: self.not_after,
            });
        }
        let mut params = agent_params(name, validity)?;
        params.use_authority_key_identifier_extension = true;
        for uri in grants.into_iter().flat_map(Grants::uris) {
            params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        }
        Issued::new(&params.signed_by(key, &self.issuer)?, key)
    }
}

impl Issued {
    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Result<Self, IssueError> {
        Ok(Self {
            id: Certificate::parse(certificate.der())?.id,
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key_pkcs8: key.serialize_der().into(),
        })
    }

    /// Writes a key (mode 0600) and then its certificate, neither of which may exist. If the
    /// second fails the first is taken back, so that a corrected second try is not refused.
    pub fn store(&self, certificate: &Path, key: &Path) -> Result<(), StoreError> {
        if certificate.exists() {
            let path = certificate.to_owned();
            return Err(StoreError::Exists { path });
        }
        files::create_new(key, self.key_pem.as_bytes(), SECRET)
            .map_err(|source| StoreError::new(key, source))?;
        files::create_new(certificate, self.certificate_pem.as_bytes(), PUBLIC).map_err(|source| {
            // The write's error is the one worth reporting.
            let _ = std::fs::remove_file(key);
            StoreError::new(certificate, source)
        })
    }

    /// Writes the certificate alone, in place of an older one of the same key.
    pub fn replace(&self, certificate: &Path) -> Result<(), StoreError> {
        files::replace(certificate, self.certificate_pem.as_bytes(), PUBLIC)
            .map_err(|source| StoreError::new(certificate, source))
    }
}

impl StoreError {
    fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::AlreadyExists {
            Self::Exists { path }
        } else {
            Self::Write { path, source }
        }
    }
}

/// A self-signed agent certificate for a key, with the id as its common name.
pub(super) fn self_signed(
    key: &PrivatePkcs8KeyDer<'_>,
    validity: Validity,
) -> Result<Issued, IssueError> {
    let key = KeyPair::from_pkcs8_der_and_sign_algo(key, &PKCS_ED25519)?;
    let id = AgentId::from_spki(&key.subject_public_key_info());
    let certificate = agent_params(&id.to_string(), validity)?.self_signed(&key)?;
    Issued::new(&certificate, &key)
}

/// A new Ed25519 key.
pub(super) fn generate_key() -> Result<KeyPair, IssueError> {
    Ok(KeyPair::generate_for(&PKCS_ED25519)?)
}

pub(super) fn agent_params(
    name: &str,
    validity: Validity,
) -> Result<CertificateParams, IssueError> {
    let mut params = params(name, validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // An agent dials and accepts with the same certificate.
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    Ok(params)
}

fn params(name: &str, validity: Validity) -> Result<CertificateParams, IssueError> {
    // RFC 5280 section 4.1.2.2: at most 20 octets, positive.
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| IssueError::NoRandomness)?;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date(validity.not_before)?;
    params.not_after = date(validity.not_after)?;
    Ok(params)
}

fn date(unix: u64) -> Result<OffsetDateTime, IssueError> {
    i64::try_from(unix)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or(IssueError::Date(unix))
}

#[cfg(test)]
mod tests;

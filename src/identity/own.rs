//! This agent's own identity: its key, its certificate chain, its id.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use super::files::{self, Loaded, SECRET, Warning};
use super::issue::{self, IssueError, Issued, StoreError, Validity};
use super::keys::{self, PrivateKey};
use super::pem::{Pem, PemError};
use super::shown::{Chain, Shown};
use super::{AgentId, Certificate, CertificateError, ValidityAt};
use crate::clock::{format_date, unix_now};

/// Files of the identity under `agent.data_dir`.
const KEY_FILE: &str = "identity.key";
const CERTIFICATE_FILE: &str = "identity.crt";

/// Ten years: a self-signed certificate is pinned by id, so its end protects nobody, and peers
/// need not be told when it is renewed.
const SELF_SIGNED_DAYS: u32 = 3_650;

/// A self-signed certificate with less than this left is renewed at start, 30 days in seconds:
/// the same horizon at which an agent reports itself degraded.
const RENEW_BEFORE: u64 = 30 * 86_400;

/// An agent's key and certificate. Cheap to share behind an [`Arc`]; never prints its key.
pub struct Identity {
    id: AgentId,
    pair: Ed25519KeyPair,
    shown: Shown,
}

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot use certificate {place}")]
    BadCertificate {
        place: String,
        source: CertificateError,
    },
    #[error("{place} is a CA certificate; an agent needs one of its own: `warren cert agent`")]
    IsCa { place: String },
    #[error(
        "key {key} does not belong to certificate {certificate}; give the pair that was made together"
    )]
    KeyMismatch { key: String, certificate: String },
    #[error(
        "certificate {place} expired {}; issue a new one with `warren cert agent --renew`",
        format_date(*not_after)
    )]
    Expired { place: String, not_after: u64 },
    #[error(
        "certificate {place} is valid only from {}; check this host's clock",
        format_date(*not_before)
    )]
    NotYetValid { place: String, not_before: u64 },
    #[error("cannot make a self-signed certificate")]
    Issue(#[from] IssueError),
    #[error("the TLS library refuses the key")]
    Tls(#[from] rustls::Error),
}

impl Identity {
    /// The identity in `data_dir`, created there if there is none: `identity.key` (PKCS#8 PEM,
    /// mode 0600) and `identity.crt`, self-signed for ten years.
    ///
    /// An existing key is never overwritten. A self-signed certificate close to its end is
    /// renewed, which keeps the id.
    pub fn load_or_create(data_dir: &Path) -> Result<Loaded<Self>, IdentityError> {
        Self::load_or_create_at(data_dir, unix_now())
    }

    /// The identity in `data_dir` as it stands; `None` if its files are not all there yet. Writes
    /// nothing.
    pub fn load(data_dir: &Path) -> Result<Option<Loaded<Self>>, IdentityError> {
        let (key, certificate) = (data_dir.join(KEY_FILE), data_dir.join(CERTIFICATE_FILE));
        if !key.exists() || !certificate.exists() {
            return Ok(None);
        }
        Self::from_pem(certificate, key).map(Some)
    }

    /// The identity in a certificate (PEM, leaf first) and its key (PKCS#8 PEM), or in the files that
    /// hold them.
    pub fn from_pem(
        certificate: impl Into<Pem>,
        key: impl Into<Pem>,
    ) -> Result<Loaded<Self>, IdentityError> {
        Self::from_pem_at(&certificate.into(), &key.into(), unix_now())
    }

    /// A new self-signed identity that exists only in memory.
    pub fn ephemeral() -> Result<Self, IdentityError> {
        let key = issue::generate_key()?.serialize_der().into();
        let validity = Validity::days(unix_now(), SELF_SIGNED_DAYS);
        Self::from_issued(issue::self_signed(&key, validity)?)
    }

    /// A just issued certificate and key, without files.
    pub fn from_issued(issued: Issued) -> Result<Self, IdentityError> {
        let key = PrivateKey::from_pkcs8(issued.key_pkcs8).ok_or(PemError::NotEd25519 {
            place: "(in memory)".to_owned(),
        })?;
        let certificate = Certificate::parse(&issued.certificate).map_err(IssueError::from)?;
        Self::assemble(key, vec![issued.certificate], certificate)
    }

    /// The agent id.
    pub fn id(&self) -> AgentId {
        self.id
    }

    /// Shows the certificate of `newer`, which has the same key, from now on, in handshakes by TLS
    /// configurations that exist, too; whether that is another one.
    pub fn renew(&self, newer: &Self) -> bool {
        debug_assert_eq!(self.id, newer.id);
        self.shown.replace(&newer.shown)
    }

    /// An Ed25519 signature over `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.pair.sign(message);
        <[u8; 64]>::try_from(signature.as_ref()).expect("an Ed25519 signature has 64 bytes")
    }

    /// The agent's own certificate, DER.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.shown.chain().certified.cert[0].clone()
    }

    /// What the agent's own certificate says.
    pub fn parsed(&self) -> Certificate {
        self.shown.chain().leaf.clone()
    }

    /// The certificate chain, DER, leaf first; at least one.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.shown.chain().certified.cert.clone()
    }

    /// Last second of the certificate's validity, Unix time.
    pub fn not_after(&self) -> u64 {
        self.shown.chain().leaf.not_after
    }

    /// The key and chain as TLS handshakes use them.
    pub(super) fn shown(&self) -> Arc<Shown> {
        Arc::new(self.shown.clone())
    }

    pub(super) fn load_or_create_at(dir: &Path, now: u64) -> Result<Loaded<Self>, IdentityError> {
        let (key, certificate) = (dir.join(KEY_FILE), dir.join(CERTIFICATE_FILE));
        if !key.exists() {
            create_key(dir, &key)?;
        }
        let mut renewed = None;
        match keys::read_certificates(&certificate) {
            Ok(chain) => {
                if let Some(id) = renewable(&chain[0], now) {
                    write_self_signed(&key, &certificate, now)?;
                    renewed = Some(Warning::Reissued {
                        path: certificate.clone(),
                        id,
                    });
                }
            }
            Err(PemError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                write_self_signed(&key, &certificate, now)?;
            }
            Err(error) => return Err(error.into()),
        }
        let mut loaded = Self::from_pem_at(&certificate.into(), &key.into(), now)?;
        // A readable key outlasts a renewal, so it is the warning to give if there are both.
        loaded.warning = loaded.warning.or(renewed);
        Ok(loaded)
    }

    pub(super) fn from_pem_at(
        certificate: &Pem,
        key: &Pem,
        now: u64,
    ) -> Result<Loaded<Self>, IdentityError> {
        let chain = keys::read_certificates(certificate)?;
        let private = keys::read_key(key)?;
        let warning = match key.file().map(files::check_key_mode).transpose() {
            Ok(warning) => warning.flatten(),
            Err(source) => {
                let place = key.to_string();
                return Err(PemError::Read { place, source }.into());
            }
        };
        let parsed = parse(&chain[0], certificate)?;
        let place = certificate.to_string();
        if parsed.is_ca {
            return Err(IdentityError::IsCa { place });
        }
        if private.pair.public_key().as_ref() != parsed.public_key {
            return Err(IdentityError::KeyMismatch {
                key: key.to_string(),
                certificate: place,
            });
        }
        match parsed.validity_at(now) {
            ValidityAt::NotYet => Err(IdentityError::NotYetValid {
                place,
                not_before: parsed.not_before,
            }),
            ValidityAt::Expired => Err(IdentityError::Expired {
                place,
                not_after: parsed.not_after,
            }),
            ValidityAt::Valid => Ok(Loaded {
                value: Self::assemble(private, chain, parsed)?,
                warning,
            }),
        }
    }

    fn assemble(
        key: PrivateKey,
        chain: Vec<CertificateDer<'static>>,
        certificate: Certificate,
    ) -> Result<Self, IdentityError> {
        let signing = any_eddsa_type(&key.pkcs8)?;
        Ok(Self {
            id: certificate.id,
            pair: key.pair,
            shown: Shown::new(Chain {
                certified: Arc::new(CertifiedKey::new(chain, signing)),
                leaf: certificate,
            }),
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// What the first certificate of a PEM file says, whoever's it is.
pub fn read_certificate(path: &Path) -> Result<Certificate, IdentityError> {
    let pem = Pem::from(path);
    parse(&keys::read_certificates(&pem)?[0], &pem)
}

fn parse(der: &CertificateDer<'_>, pem: &Pem) -> Result<Certificate, IdentityError> {
    Certificate::parse(der).map_err(|source| IdentityError::BadCertificate {
        place: pem.to_string(),
        source,
    })
}

fn create_key(dir: &Path, path: &Path) -> Result<(), IdentityError> {
    let write_error = |path: &Path, source| StoreError::Write {
        path: path.to_owned(),
        source,
    };
    files::create_private_dir(dir).map_err(|source| write_error(dir, source))?;
    let pem = issue::generate_key()?.serialize_pem();
    match files::create_new(path, pem.as_bytes(), SECRET) {
        // Another process was first: its key is the identity.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => Ok(result.map_err(|source| write_error(path, source))?),
    }
}

fn write_self_signed(key: &Path, certificate: &Path, now: u64) -> Result<(), IdentityError> {
    let key = keys::read_key(key)?;
    let issued = issue::self_signed(&key.pkcs8, Validity::days(now, SELF_SIGNED_DAYS))?;
    Ok(issued.replace(certificate)?)
}

/// The id of a self-signed certificate that is near or past its end. One that somebody else
/// issued is theirs to renew.
fn renewable(certificate: &CertificateDer<'_>, now: u64) -> Option<AgentId> {
    let parsed = Certificate::parse(certificate).ok()?;
    let ends = parsed.not_after <= now.saturating_add(RENEW_BEFORE);
    (parsed.self_issued && ends).then_some(parsed.id)
}

#[cfg(test)]
mod tests;

//! CA certificates as files hold them.

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use super::keys;
use super::pem::{Pem, PemError};
use super::{Certificate, CertificateError};

/// A CA that is trusted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Root {
    pub(super) certificate: Certificate,
    pub(super) anchor: TrustAnchor<'static>,
}

/// A CA file cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustLoadError {
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("cannot use CA certificate {place}")]
    BadCertificate {
        place: String,
        source: CertificateError,
    },
    #[error("{place} is not a CA certificate; to trust one agent, put its id under `trust.allow`")]
    NotCa { place: String },
    #[error("cannot use CA certificate {place}")]
    Anchor {
        place: String,
        source: webpki::Error,
    },
}

impl Root {
    pub(super) fn read_all(
        cas: impl IntoIterator<Item: Into<Pem>>,
    ) -> Result<Vec<Self>, TrustLoadError> {
        let mut roots = Vec::new();
        for pem in cas {
            let pem = pem.into();
            for der in keys::read_certificates(&pem)? {
                roots.push(Self::read(&der, &pem)?);
            }
        }
        Ok(roots)
    }

    fn read(der: &CertificateDer<'_>, pem: &Pem) -> Result<Self, TrustLoadError> {
        let place = || pem.to_string();
        let certificate =
            Certificate::parse(der).map_err(|source| TrustLoadError::BadCertificate {
                place: place(),
                source,
            })?;
        if !certificate.is_ca {
            return Err(TrustLoadError::NotCa { place: place() });
        }
        let anchor = anchor_from_trusted_cert(der)
            .map_err(|source| TrustLoadError::Anchor {
                place: place(),
                source,
            })?
            .to_owned();
        Ok(Self {
            certificate,
            anchor,
        })
    }
}

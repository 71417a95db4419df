//! CA certificates as files hold them.

use std::path::{Path, PathBuf};

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use super::keys::{self, PemError};
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
    #[error("cannot use CA certificate {}", path.display())]
    BadCertificate {
        path: PathBuf,
        source: CertificateError,
    },
    #[error(
        "{} is not a CA certificate; to trust one agent, put its id under `trust.allow`",
        path.display()
    )]
    NotCa { path: PathBuf },
    #[error("cannot use CA certificate {}", path.display())]
    Anchor {
        path: PathBuf,
        source: webpki::Error,
    },
}

impl Root {
    pub(super) fn read_all<P: AsRef<Path>>(
        files: impl IntoIterator<Item = P>,
    ) -> Result<Vec<Self>, TrustLoadError> {
        let mut roots = Vec::new();
        for path in files {
            let path = path.as_ref();
            for der in keys::read_certificates(path)? {
                roots.push(Self::read(&der, path)?);
            }
        }
        Ok(roots)
    }

    fn read(der: &CertificateDer<'_>, path: &Path) -> Result<Self, TrustLoadError> {
        let path = || path.to_owned();
        let certificate =
            Certificate::parse(der).map_err(|source| TrustLoadError::BadCertificate {
                path: path(),
                source,
            })?;
        if !certificate.is_ca {
            return Err(TrustLoadError::NotCa { path: path() });
        }
        let anchor = anchor_from_trusted_cert(der)
            .map_err(|source| TrustLoadError::Anchor {
                path: path(),
                source,
            })?
            .to_owned();
        Ok(Self {
            certificate,
            anchor,
        })
    }
}

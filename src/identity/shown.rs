//! The certificate that an agent shows. It may be renewed while the agent runs: each handshake takes the
//! one of its moment.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Certificate;

/// A chain with its key, and what its leaf says.
pub(super) struct Chain {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) leaf: Certificate,
}

/// Cloning shares it.
#[derive(Clone)]
pub(super) struct Shown(Arc<RwLock<Arc<Chain>>>);

impl Shown {
    pub(super) fn new(chain: Chain) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(chain))))
    }

    pub(super) fn chain(&self) -> Arc<Chain> {
        let chain = self.0.read().unwrap_or_else(PoisonError::into_inner);
        chain.clone()
    }

    /// Shows what `other` shows from now on; whether that is a change.
    pub(super) fn replace(&self, other: &Self) -> bool {
        let other = other.chain();
        let mut chain = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_other = chain.certified.cert != other.certified.cert;
        *chain = other;
        is_other
    }
}

/// The key is in it.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.chain().certified.clone())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.chain().certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

//! The routing core's cryptography: this agent's key, and its trust in others.

use std::sync::Arc;

use crate::identity::{Identity, Trust, TrustError, split_chain, verify_signature};
use crate::routing::{AdmitError, Admitted, Authority};

/// Signs with the agent's identity and judges by its trust.
pub(super) struct MeshAuthority {
    identity: Arc<Identity>,
    trust: Arc<Trust>,
}

impl MeshAuthority {
    pub(super) fn new(identity: Arc<Identity>, trust: Arc<Trust>) -> Self {
        Self { identity, trust }
    }
}

impl Authority for MeshAuthority {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.identity.sign(message)
    }

    /// The chain, leaf first, one DER certificate after the other.
    fn certificate(&self) -> Vec<u8> {
        let chain = self.identity.chain();
        let chain = chain.iter().map(|der| der.as_ref());
        chain.collect::<Vec<&[u8]>>().concat()
    }

    fn admit(&self, certificate: &[u8], unix_ms: u64) -> Result<Arc<Admitted>, AdmitError> {
        let chain = split_chain(certificate)
            .ok_or_else(|| AdmitError::Malformed("not a chain of certificates".to_owned()))?;
        let certificate =
            self.trust
                .verify(&chain, unix_ms / 1_000)
                .map_err(|error| match error {
                    TrustError::Expired { .. } | TrustError::NotYetValid { .. } => {
                        AdmitError::OutsideValidity
                    }
                    TrustError::BadCertificate(_) => AdmitError::Malformed(error.to_string()),
                    other => AdmitError::Untrusted(other.to_string()),
                })?;
        Ok(Arc::new(Admitted {
            id: certificate.id,
            public_key: certificate.public_key,
            not_after_ms: certificate.not_after.saturating_mul(1_000),
            grants: certificate.grants,
        }))
    }

    fn verify(&self, signer: &Admitted, message: &[u8], signature: &[u8; 64]) -> bool {
        verify_signature(&signer.public_key, message, signature)
    }
}

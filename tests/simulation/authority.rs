//! Cheap cryptography for a world without attackers: a certificate is an id and an expiry, a
//! signature a keyed checksum.

use std::sync::Arc;

use warren::identity::AgentId;
use warren::routing::{AdmitError, Admitted, Authority};

pub(crate) struct Fake {
    id: AgentId,
    certificate: Vec<u8>,
}

impl Fake {
    pub(crate) fn new(id: AgentId) -> Self {
        Self {
            id,
            certificate: id.0.to_vec(),
        }
    }
}

impl Authority for Fake {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        checksum(self.id, message)
    }

    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    fn admit(&self, certificate: &[u8], _: u64) -> Result<Arc<Admitted>, AdmitError> {
        let id = <[u8; 16]>::try_from(certificate)
            .map_err(|_| AdmitError::Malformed("an id has 16 bytes".into()))?;
        Ok(Arc::new(Admitted {
            id: AgentId(id),
            public_key: [0; 32],
            not_after_ms: u64::MAX,
            grants: None,
        }))
    }

    fn verify(&self, signer: &Admitted, message: &[u8], signature: &[u8; 64]) -> bool {
        checksum(signer.id, message) == *signature
    }
}

fn checksum(id: AgentId, message: &[u8]) -> [u8; 64] {
    let chunks = id.0.chunks(8).chain(message.chunks(8));
    let sum = chunks.fold(0_u64, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (sum.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95)
    });
    let mut signature = [0; 64];
    signature[..8].copy_from_slice(&sum.to_be_bytes());
    signature
}

//! Cheap cryptography: a certificate is an id, a signature a keyed checksum.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use warren::identity::AgentId;
use warren::routing::{AdmitError, Admitted, Authority};

/// What certificates say, shared by all who read them so that a large world fits into memory.
#[derive(Clone, Default)]
pub(crate) struct Notary(Rc<RefCell<BTreeMap<AgentId, Arc<Admitted>>>>);

pub(crate) struct Fake {
    id: AgentId,
    certificate: Vec<u8>,
    notary: Notary,
}

impl Fake {
    /// With a certificate of `certificate_bytes`, of which the id needs 16.
    pub(crate) fn new(id: AgentId, certificate_bytes: usize, notary: &Notary) -> Self {
        let mut certificate = id.0.to_vec();
        certificate.resize(certificate_bytes.max(id.0.len()), 0);
        Self {
            id,
            certificate,
            notary: notary.clone(),
        }
    }
}

impl Authority for Fake {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        checksum(self.id, message)
    }

    fn certificate(&self) -> Vec<u8> {
        self.certificate.clone()
    }

    fn admit(&self, certificate: &[u8], _: u64) -> Result<Arc<Admitted>, AdmitError> {
        let id = certificate
            .first_chunk()
            .map(|id| AgentId(*id))
            .ok_or_else(|| AdmitError::Malformed("an id has 16 bytes".into()))?;
        let mut known = self.notary.0.borrow_mut();
        let admitted = known.entry(id).or_insert_with(|| {
            Arc::new(Admitted {
                id,
                public_key: [0; 32],
                not_after_ms: u64::MAX,
                grants: None,
            })
        });
        Ok(Arc::clone(admitted))
    }

    fn verify(&self, signer: &Admitted, message: &[u8], signature: &[u8; 64]) -> bool {
        checksum(signer.id, message) == *signature
    }
}

/// What `id` signs; a liar may call it for no id but its own.
pub(crate) fn checksum(id: AgentId, message: &[u8]) -> [u8; 64] {
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

//! The seam to cryptography: what the core asks of keys and certificates. The agent answers with
//! its identity and trust, a simulation with something cheap.

use std::sync::Arc;

use crate::identity::{AgentId, DomainPattern, Grants};
use crate::wire::RouteAdv;

/// Signs as this agent and judges others.
pub trait Authority {
    /// Ed25519 over `message` with this agent's key.
    fn sign(&self, message: &[u8]) -> [u8; 64];

    /// What proves this agent's key: its certificate in DER, and after it any others that lead to
    /// the CA. Opaque to the core, which floods it.
    fn certificate(&self) -> Vec<u8>;

    /// Whether `certificate` is trusted at `unix_ms`, and what it says. Never trusts a network
    /// lookup: it is called from the core.
    fn admit(&self, certificate: &[u8], unix_ms: u64) -> Result<Arc<Admitted>, AdmitError>;

    /// Whether `signature` over `message` is of the key of `signer`.
    fn verify(&self, signer: &Admitted, message: &[u8], signature: &[u8; 64]) -> bool;
}

/// What a trusted certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub id: AgentId,
    /// Ed25519.
    pub public_key: [u8; 32],
    /// Unix milliseconds.
    pub not_after_ms: u64,
    /// `None`: it may originate anything.
    pub grants: Option<Grants>,
}

/// Why a certificate is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    #[error("certificate does not decode: {0}")]
    Malformed(String),
    #[error("certificate is not trusted: {0}")]
    Untrusted(String),
    #[error("certificate is outside its validity")]
    OutsideValidity,
}

impl Admitted {
    /// Whether it may be on the way between others.
    pub fn may_transit(&self) -> bool {
        self.grants
            .as_ref()
            .is_none_or(|grants| grants.roles().transit)
    }

    /// The first prefix or domain in `route` that the grants do not cover.
    pub fn first_not_granted(&self, route: &RouteAdv) -> Option<String> {
        let grants = self.grants.as_ref()?;
        let prefixes = route.prefixes.iter().map(|route| &route.prefix);
        let prefix = prefixes
            .filter(|prefix| !grants.allows_prefix(prefix))
            .map(ToString::to_string)
            .next();
        prefix.or_else(|| {
            let domains = route.domains.iter();
            domains
                .filter(|domain| {
                    !domain
                        .parse::<DomainPattern>()
                        .is_ok_and(|pattern| grants.allows_domain(&pattern))
                })
                .map(ToString::to_string)
                .next()
        })
    }
}

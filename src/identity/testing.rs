//! Certificates for the tests of this room.

use std::collections::BTreeSet;

use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::CertificateDer;

use super::{AgentId, Authority, Grants, Identity, Issued, Trust, Validity, unix_now};

/// A moment in 2025 at which the certificates of [`Mesh::agent_at`] are judged.
pub(super) const NOW: u64 = 1_763_719_200;

/// A mesh CA and the trust in it.
pub(super) struct Mesh {
    pub(super) authority: Authority,
    pub(super) ca: CertificateDer<'static>,
}

impl Mesh {
    /// A CA that is valid from [`NOW`] on for a century, so that it covers today too.
    pub(super) fn new(name: &str) -> Self {
        let (authority, issued) = Authority::create(name, Validity::days(NOW, 36_500)).unwrap();
        Self {
            authority,
            ca: issued.certificate,
        }
    }

    /// An agent of this mesh whose certificate is valid for `days` from `from` on.
    pub(super) fn agent_at(&self, from: u64, days: u32, grants: Option<&Grants>) -> Identity {
        let validity = Validity::days(from, days);
        Identity::from_issued(self.authority.issue("agent", grants, validity).unwrap()).unwrap()
    }

    /// An agent of this mesh that is valid today.
    pub(super) fn agent(&self) -> Identity {
        self.agent_at(unix_now(), 1, None)
    }

    /// Trust in this mesh's CA and these ids.
    pub(super) fn trust(&self, pinned: &[AgentId]) -> Trust {
        let mut trust = pins(pinned);
        trust.add_ca(&self.ca).unwrap();
        trust
    }
}

/// Trust in these ids alone.
pub(super) fn pins(pinned: &[AgentId]) -> Trust {
    let pinned: BTreeSet<_> = pinned.iter().copied().collect();
    Trust::new::<&str>([], pinned).unwrap()
}

/// A self-signed identity valid for `days` from `from` on.
pub(super) fn self_signed_at(from: u64, days: u32) -> Identity {
    Identity::from_issued(self_signed_issued(from, days)).unwrap()
}

/// The certificate and key of [`self_signed_at`].
pub(super) fn self_signed_issued(from: u64, days: u32) -> Issued {
    let key = super::issue::generate_key().unwrap().serialize_der().into();
    super::issue::self_signed(&key, Validity::days(from, days)).unwrap()
}

/// A new key behind `victim`'s certificate, as a thief of certificates would try.
pub(super) fn posing_as(victim: &Identity) -> Identity {
    let mut issued = self_signed_issued(unix_now(), 1);
    issued.certificate = victim.certificate().clone();
    Identity::from_issued(issued).unwrap()
}

/// A certificate as `edit` wants it, self-signed with a new key of `algorithm`.
pub(super) fn certificate_with(
    algorithm: &'static rcgen::SignatureAlgorithm,
    edit: impl FnOnce(&mut CertificateParams),
) -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    edit(&mut params);
    (params.self_signed(&key).unwrap().into(), key)
}

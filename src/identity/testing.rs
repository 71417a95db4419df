//! What tests of identities share: a day on which everything happens, a CA, agents.

use std::collections::BTreeSet;

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls_pki_types::CertificateDer;

use super::issue::{self, Validity};
use super::{AgentId, Authority, Identity, Issued, Trust};

/// The moment at which certificates are made and judged, Unix seconds.
pub(super) const NOW: u64 = 1_800_000_000;

pub(super) const DAY: u64 = 86_400;

/// From [`NOW`] on, for so many days.
pub(super) fn days(days: u32) -> Validity {
    Validity::days(NOW, days)
}

/// A CA of that name with a key of its own.
pub(super) fn authority(name: &str) -> (Authority, Issued) {
    Authority::create(name, days(3_650)).unwrap()
}

/// A self-signed agent.
pub(super) fn stranger() -> Issued {
    let key = issue::generate_key().unwrap().serialize_der().into();
    issue::self_signed(&key, days(30)).unwrap()
}

/// Trust in these CAs and ids.
pub(super) fn trust(authorities: &[&Issued], pinned: &[AgentId]) -> Trust {
    let dir = tempfile::tempdir().unwrap();
    let file = |(index, ca): (usize, &&Issued)| {
        let path = dir.path().join(format!("{index}.crt"));
        std::fs::write(&path, &ca.certificate_pem).unwrap();
        path
    };
    let files: Vec<_> = authorities.iter().enumerate().map(file).collect();
    let pinned: BTreeSet<AgentId> = pinned.iter().copied().collect();
    Trust::new(files, pinned).unwrap()
}

/// A certificate with a new key as `shape` wants it, signed by `ca`, which `warren` would not sign.
pub(super) fn shaped(ca: &Issued, shape: impl FnOnce(&mut CertificateParams)) -> Shaped {
    let ca_key = KeyPair::from_pem(&ca.key_pem).unwrap();
    let issuer = Issuer::from_ca_cert_der(&ca.certificate, ca_key).unwrap();
    let key = issue::generate_key().unwrap();
    let mut params = issue::agent_params("shaped", days(30)).unwrap();
    shape(&mut params);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    Shaped {
        der: certificate.der().clone(),
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    }
}

pub(super) struct Shaped {
    pub(super) der: CertificateDer<'static>,
    pub(super) certificate_pem: String,
    pub(super) key_pem: String,
}

/// An agent with a certificate of `authority`.
pub(super) fn member(authority: &Authority, name: &str) -> Identity {
    Identity::from_issued(authority.issue(name, None, days(30)).unwrap()).unwrap()
}

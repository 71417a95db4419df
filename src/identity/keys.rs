//! Ed25519 keys, and what PEM holds.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::pem::{Pem, PemError};

/// Whether `signature` over `message` was made with the key behind `public_key`.
pub fn verify_signature(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(message, signature)
        .is_ok()
}

/// A private key in both forms that its users need.
pub(super) struct PrivateKey {
    pub(super) pair: Ed25519KeyPair,
    pub(super) pkcs8: PrivatePkcs8KeyDer<'static>,
}

impl PrivateKey {
    /// A key from PKCS#8, with or without the public half.
    pub(super) fn from_pkcs8(pkcs8: PrivatePkcs8KeyDer<'static>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.secret_pkcs8_der()).ok()?;
        Some(Self { pair, pkcs8 })
    }
}

/// The first private key of PEM.
pub(super) fn read_key(pem: impl Into<Pem>) -> Result<PrivateKey, PemError> {
    let pem = pem.into();
    match PrivateKeyDer::from_pem_slice(&pem.read()?) {
        Ok(PrivateKeyDer::Pkcs8(pkcs8)) => PrivateKey::from_pkcs8(pkcs8),
        // PKCS#1 is RSA and SEC 1 is ECDSA.
        Ok(_) => None,
        Err(_) => {
            return Err(PemError::NotPem {
                place: pem.to_string(),
                wanted: "private key (PKCS#8, not encrypted)",
            });
        }
    }
    .ok_or_else(|| PemError::NotEd25519 {
        place: pem.to_string(),
    })
}

/// All certificates of PEM, in order; at least one.
pub(super) fn read_certificates(
    pem: impl Into<Pem>,
) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let pem = pem.into();
    CertificateDer::pem_slice_iter(&pem.read()?)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| PemError::NotPem {
            place: pem.to_string(),
            wanted: "certificate",
        })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::KeyPair;

    use super::*;

    #[test]
    fn signatures_verify_only_for_their_key_and_message() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let signature: [u8; 64] = pair.sign(b"message").as_ref().try_into().unwrap();
        assert!(verify_signature(&key, b"message", &signature));
        assert!(!verify_signature(&key, b"massage", &signature));
        assert!(!verify_signature(&[7; 32], b"message", &signature));
        let mut bent = signature;
        bent[40] ^= 1;
        assert!(!verify_signature(&key, b"message", &bent));
    }

    #[test]
    fn other_key_types_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("other.key");
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_RSA_SHA256] {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            std::fs::write(&path, pair.serialize_pem()).unwrap();
            let error = read_key(&path).err().unwrap();
            assert!(matches!(error, PemError::NotEd25519 { .. }), "{error}");
            assert!(error.to_string().contains("Ed25519"), "{error}");
        }
    }

    #[test]
    fn unreadable_and_foreign_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        assert!(matches!(
            read_key(&path).err().unwrap(),
            PemError::Read { .. }
        ));
        assert!(matches!(
            read_certificates(&path),
            Err(PemError::Read { .. })
        ));
        for text in ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(
                matches!(read_key(&path).err().unwrap(), PemError::NotPem { .. }),
                "{text}"
            );
            assert!(
                matches!(read_certificates(&path), Err(PemError::NotPem { .. })),
                "{text}"
            );
        }
    }
}

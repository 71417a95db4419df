use proptest::prelude::*;
use rcgen::{DistinguishedName, DnType, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType};

use super::*;
use crate::identity::testing::{Mesh, NOW, certificate_with};
use crate::identity::unix_now;

fn with_uris(uris: &[&str]) -> Result<Certificate, CertificateError> {
    let (der, _) = certificate_with(&PKCS_ED25519, |params| {
        params.subject_alt_names = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()))
            .collect();
    });
    Certificate::parse(&der)
}

#[test]
fn an_issued_certificate_reads_back() {
    let mesh = Mesh::new("mesh");
    let uris = ["warren:route:10.0.0.0/8", "warren:domain:*.corp.example"];
    let grants = Grants::from_uris(uris).unwrap();
    let identity = mesh.agent_at(NOW, 30, grants.as_ref());
    let certificate = Certificate::parse(identity.certificate()).unwrap();
    assert_eq!(certificate, *identity.parsed());
    assert_eq!(certificate.common_name.as_deref(), Some("agent"));
    assert_eq!(certificate.issuer, "mesh");
    assert!(!certificate.self_issued);
    assert!(!certificate.is_ca);
    assert_eq!(certificate.not_before, NOW - 3_600);
    assert_eq!(certificate.not_after, NOW + 30 * 86_400);
    assert_eq!(certificate.grants, grants);

    let ca = Certificate::parse(&mesh.ca).unwrap();
    assert!(ca.is_ca && ca.self_issued);
}

#[test]
fn both_ends_of_the_validity_period_are_inside() {
    let identity = Mesh::new("mesh").agent_at(NOW, 30, None);
    let certificate = identity.parsed();
    for (time, expected) in [
        (certificate.not_before - 1, ValidityAt::NotYet),
        (certificate.not_before, ValidityAt::Valid),
        (certificate.not_after, ValidityAt::Valid),
        (certificate.not_after + 1, ValidityAt::Expired),
    ] {
        assert_eq!(certificate.validity_at(time), expected);
    }
}

#[test]
fn only_ed25519_keys_are_accepted() {
    let (der, _) = certificate_with(&PKCS_ECDSA_P256_SHA256, |_| {});
    assert_eq!(Certificate::parse(&der), Err(CertificateError::NotEd25519));
    let (der, _) = certificate_with(&rcgen::PKCS_RSA_SHA256, |_| {});
    assert_eq!(Certificate::parse(&der), Err(CertificateError::NotEd25519));
}

#[test]
fn a_malformed_grant_refuses_the_certificate() {
    assert_eq!(with_uris(&["https://example.com"]).unwrap().grants, None);
    let error = with_uris(&["warren:route:10.0.0.0/8", "warren:route:10.0.0.1/8"]).unwrap_err();
    assert!(matches!(error, CertificateError::Grant(_)), "{error}");
    assert!(with_uris(&["warren:everything"]).is_err());
}

#[test]
fn bytes_after_the_certificate_refuse_it() {
    let identity = Mesh::new("mesh").agent();
    let mut der = identity.certificate().to_vec();
    der.push(0);
    assert!(matches!(
        Certificate::parse(&der),
        Err(CertificateError::Malformed(_))
    ));
}

#[test]
fn a_certificate_without_names_is_still_one() {
    let (der, _) = certificate_with(&PKCS_ED25519, |params| {
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Org");
    });
    let certificate = Certificate::parse(&der).unwrap();
    assert_eq!(certificate.common_name, None);
    assert_eq!(certificate.issuer, "O=Org");
}

/// A certificate with everything that the parser looks at.
fn rich_certificate() -> Vec<u8> {
    let grants = Grants::from_uris(["warren:route:10.0.0.0/8", "warren:domain:*.corp.example"]);
    let identity = Mesh::new("mesh").agent_at(unix_now(), 30, grants.unwrap().as_ref());
    identity.certificate().to_vec()
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Certificate::parse(&bytes);
    }

    #[test]
    fn mutated_certificates_never_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
    ) {
        let mut der = rich_certificate();
        for (at, byte) in edits {
            let at = at.index(der.len());
            der[at] = byte;
        }
        if truncate {
            der.truncate(cut.index(der.len()));
        }
        let _ = Certificate::parse(&der);
    }
}

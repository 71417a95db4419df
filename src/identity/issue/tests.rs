use super::*;
use crate::identity::testing::NOW;

/// `NotCa`, `KeyMismatch` and so on for a folder with these two files.
fn load_error(certificate: &str, key: &str) -> AuthorityError {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(CA_CERTIFICATE), certificate).unwrap();
    std::fs::write(dir.path().join(CA_KEY), key).unwrap();
    Authority::load(dir.path()).err().unwrap()
}

fn create() -> (Authority, Issued) {
    Authority::create("mesh", Validity::days(NOW, 3_650)).unwrap()
}

#[test]
fn a_stored_ca_issues_as_the_one_in_memory_does() {
    let dir = tempfile::tempdir().unwrap();
    let (_, ca) = create();
    ca.store(&dir.path().join(CA_CERTIFICATE), &dir.path().join(CA_KEY))
        .unwrap();
    let loaded = Authority::load(dir.path()).unwrap();
    let issued = loaded.issue("a", None, Validity::days(NOW, 10)).unwrap();
    let trust = crate::identity::Trust::new([dir.path().join(CA_CERTIFICATE)], [].into()).unwrap();
    let verified = trust.verify(&[issued.certificate], NOW).unwrap();
    assert_eq!(verified.id, issued.id);
}

#[test]
fn two_certificates_never_share_a_key_or_a_serial() {
    let (authority, _) = create();
    let issue = || authority.issue("a", None, Validity::days(NOW, 10)).unwrap();
    let (first, second) = (issue(), issue());
    assert_ne!(first.id, second.id);
    assert_ne!(first.certificate, second.certificate);
}

#[test]
fn a_certificate_never_outlives_its_ca() {
    let (authority, _) = create();
    let error = authority
        .issue("a", None, Validity::days(NOW, 3_651))
        .err()
        .unwrap();
    assert!(matches!(error, IssueError::OutlivesCa { .. }), "{error}");
}

#[test]
fn dates_past_the_calendar_are_refused() {
    let error = Authority::create("mesh", Validity::days(u64::MAX, 1))
        .err()
        .unwrap();
    assert!(matches!(error, IssueError::Date(_)), "{error}");
}

#[test]
fn what_is_no_ca_does_not_sign() {
    let (authority, ca) = create();
    let agent = authority.issue("a", None, Validity::days(NOW, 10)).unwrap();
    assert!(matches!(
        load_error(&agent.certificate_pem, &agent.key_pem),
        AuthorityError::NotCa { .. }
    ));
    assert!(matches!(
        load_error(&ca.certificate_pem, &agent.key_pem),
        AuthorityError::KeyMismatch { .. }
    ));
    assert!(matches!(
        load_error(&ca.certificate_pem, "no key"),
        AuthorityError::Pem(PemError::NotPem { .. })
    ));
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    assert!(matches!(
        load_error(&ca.certificate_pem, &key.serialize_pem()),
        AuthorityError::Pem(PemError::NotEd25519 { .. })
    ));
}

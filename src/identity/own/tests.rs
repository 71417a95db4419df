use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::identity::testing::{DAY, NOW, authority, days, member};
use crate::identity::verify_signature;

/// One second before a self-signed certificate made at [`NOW`] is renewed.
const LAST: u64 = NOW + SELF_SIGNED_DAYS as u64 * DAY - RENEW_BEFORE - 1;

#[test]
fn an_identity_is_made_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert!(Identity::load(&data).unwrap().is_none());
    assert!(!data.exists(), "looking writes nothing");
    let first = Identity::load_or_create_at(&data, NOW).unwrap();
    assert!(first.warning.is_none());
    let key = std::fs::read(data.join(KEY_FILE)).unwrap();
    let mode = std::fs::metadata(data.join(KEY_FILE))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    for now in [NOW, LAST] {
        let again = Identity::load_or_create_at(&data, now).unwrap();
        assert_eq!(again.value.id(), first.value.id());
        assert_eq!(again.value.certificate(), first.value.certificate());
    }
    assert_eq!(std::fs::read(data.join(KEY_FILE)).unwrap(), key);
}

#[test]
fn a_self_signed_certificate_is_renewed_in_time_with_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let first = Identity::load_or_create_at(dir.path(), NOW).unwrap().value;
    // Also one that ended while the agent was switched off.
    for now in [LAST + 1, LAST + 20 * 365 * DAY] {
        let renewed = Identity::load_or_create_at(dir.path(), now).unwrap();
        let warning = renewed.warning.unwrap();
        assert!(matches!(warning, Warning::Reissued { id, .. } if id == first.id()));
        assert_eq!(renewed.value.id(), first.id());
        assert!(renewed.value.not_after() > now + RENEW_BEFORE);
    }
}

#[test]
fn a_certificate_that_was_lost_is_made_again_for_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let first = Identity::load_or_create_at(dir.path(), NOW).unwrap().value;
    std::fs::remove_file(dir.path().join(CERTIFICATE_FILE)).unwrap();
    assert!(Identity::load(dir.path()).unwrap().is_none());
    let again = Identity::load_or_create_at(dir.path(), NOW).unwrap().value;
    assert_eq!(again.id(), first.id());
    // One that cannot be read is not replaced: somebody may want it back.
    std::fs::write(dir.path().join(CERTIFICATE_FILE), "hello").unwrap();
    let error = Identity::load_or_create_at(dir.path(), NOW).unwrap_err();
    assert!(matches!(error, IdentityError::Pem(_)), "{error}");
}

#[test]
fn a_readable_key_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    Identity::load_or_create_at(dir.path(), NOW).unwrap();
    let key = dir.path().join(KEY_FILE);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let loaded = Identity::load_or_create_at(dir.path(), NOW).unwrap();
    let warning = loaded.warning.unwrap();
    assert!(matches!(warning, Warning::KeyReadable { mode: 0o644, .. }));
}

#[test]
fn files_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (ca, ca_file) = authority("mesh");
    ca_file.store(&path("ca.crt"), &path("ca.key")).unwrap();
    let issue = |name: &str| {
        let issued = ca.issue(name, None, days(30)).unwrap();
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        issued.store(&path(&certificate), &path(&key)).unwrap();
    };
    issue("a");
    issue("b");
    let load = |certificate: &str, key: &str, now| {
        Identity::from_pem_at(&path(certificate).into(), &path(key).into(), now)
            .map(|loaded| loaded.value)
    };
    assert!(load("a.crt", "a.key", NOW).is_ok());
    let mismatch = load("a.crt", "b.key", NOW).unwrap_err();
    assert!(matches!(mismatch, IdentityError::KeyMismatch { .. }));
    let authority = load("ca.crt", "ca.key", NOW).unwrap_err();
    assert!(matches!(authority, IdentityError::IsCa { .. }));
    let early = load("a.crt", "a.key", NOW - 3_601).unwrap_err();
    assert!(matches!(early, IdentityError::NotYetValid { .. }));
    let late = load("a.crt", "a.key", NOW + 30 * DAY + 1).unwrap_err();
    assert!(matches!(late, IdentityError::Expired { .. }));
    assert!(late.to_string().contains("a.crt"), "{late}");
}

#[test]
fn an_identity_signs_and_never_shows_its_key() {
    let (ca, _) = authority("mesh");
    let identity = member(&ca, "agent");
    let signature = identity.sign(b"message");
    let public = identity.parsed().public_key;
    assert!(verify_signature(&public, b"message", &signature));
    let shown = format!("{identity:?}");
    assert_eq!(shown, format!("Identity {{ id: {:?}, .. }}", identity.id()));
    assert_ne!(Identity::ephemeral().unwrap().id(), identity.id());
}

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::identity::testing::{DAY, NOW, authority, days};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_certificate_says_what_was_asked_for() {
    let (ca, ca_file) = authority("mesh");
    let uris = ["warren:route:10.0.0.0/8", "warren:domain:*.corp.example"];
    let grants = Grants::from_uris(uris).unwrap();
    let issued = ca.issue("exit-a", grants.as_ref(), days(30)).unwrap();
    let read = Certificate::parse(&issued.certificate).unwrap();
    assert_eq!(read.id, issued.id);
    assert_eq!(read.common_name.as_deref(), Some("exit-a"));
    assert_eq!(read.issuer, "mesh");
    assert_eq!(read.grants, grants);
    assert!(!read.is_ca && !read.self_issued);
    let period = (read.not_before, read.not_after);
    assert_eq!(period, (NOW - 3_600, NOW + 30 * DAY));
    let ca_read = Certificate::parse(&ca_file.certificate).unwrap();
    assert!(ca_read.is_ca && ca_read.self_issued);
    // Every certificate has a key of its own.
    let again = ca.issue("exit-a", None, days(30)).unwrap();
    assert_ne!(again.id, issued.id);
    assert_eq!(Certificate::parse(&again.certificate).unwrap().grants, None);
}

#[test]
fn a_renewed_certificate_keeps_the_id() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("a.crt"), dir.path().join("a.key"));
    let (ca, _) = authority("mesh");
    let first = ca.issue("agent", None, days(30)).unwrap();
    first.store(&certificate, &key).unwrap();
    let second = ca.reissue(&key, "agent", None, days(60)).unwrap();
    assert_eq!(second.id, first.id);
    second.replace(&certificate).unwrap();
    let read = keys::read_certificates(&certificate).unwrap();
    assert_eq!(
        Certificate::parse(&read[0]).unwrap().not_after,
        NOW + 60 * DAY
    );
}

#[test]
fn nothing_outlives_its_ca_or_the_calendar() {
    let (ca, _) = Authority::create("mesh", days(10)).unwrap();
    assert!(ca.issue("agent", None, days(10)).is_ok());
    let longer = ca.issue("agent", None, days(11)).err().unwrap();
    assert!(matches!(longer, IssueError::OutlivesCa { .. }), "{longer}");
    let never = Validity {
        not_before: NOW,
        not_after: u64::MAX,
    };
    let error = Authority::create("mesh", never).err().unwrap();
    assert!(matches!(error, IssueError::Date(u64::MAX)), "{error}");
}

#[test]
fn files_are_private_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (ca, _) = authority("mesh");
    let issued = ca.issue("agent", None, days(30)).unwrap();
    issued.store(&path("a.crt"), &path("a.key")).unwrap();
    assert_eq!(mode(&path("a.key")), 0o600);
    let before = std::fs::read(path("a.key")).unwrap();
    for (certificate, key) in [("a.crt", "b.key"), ("b.crt", "a.key")] {
        let refused = issued.store(&path(certificate), &path(key)).unwrap_err();
        assert!(matches!(refused, StoreError::Exists { .. }), "{refused}");
    }
    assert!(!path("b.key").exists() && !path("b.crt").exists());
    assert_eq!(std::fs::read(path("a.key")).unwrap(), before);
    // The certificate cannot be written: its key is taken back, and a second try is not refused.
    let nowhere = path("nowhere").join("c.crt");
    let failed = issued.store(&nowhere, &path("c.key")).unwrap_err();
    assert!(matches!(failed, StoreError::Write { .. }), "{failed}");
    assert!(!path("c.key").exists());
}

#[test]
fn a_ca_is_read_back_only_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join(CA_CERTIFICATE), dir.path().join(CA_KEY));
    let load = || Authority::load(dir.path());
    assert!(matches!(load().err(), Some(AuthorityError::Pem(_))));
    let (ca, ca_file) = authority("mesh");
    ca_file.store(&certificate, &key).unwrap();
    let issued = load().unwrap().issue("agent", None, days(30)).unwrap();
    let read = Certificate::parse(&issued.certificate).unwrap();
    assert_eq!(read.issuer, "mesh");

    let (_, other) = authority("another");
    std::fs::write(&key, &other.key_pem).unwrap();
    let mismatch = load().err();
    assert!(matches!(mismatch, Some(AuthorityError::KeyMismatch { .. })));
    let agent = ca.issue("agent", None, days(30)).unwrap();
    std::fs::write(&certificate, &agent.certificate_pem).unwrap();
    assert!(matches!(load().err(), Some(AuthorityError::NotCa { .. })));
}

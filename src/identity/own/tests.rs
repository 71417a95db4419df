use std::fs;

use super::*;
use crate::identity::testing::{Mesh, NOW, self_signed_issued};
use crate::identity::verify_signature;

const YEAR: u64 = 365 * 86_400;

/// A folder with `a.crt` and `a.key`.
struct Pair {
    dir: tempfile::TempDir,
}

impl Pair {
    fn new(certificate: &str, key: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pair = Self { dir };
        fs::write(pair.path("a.crt"), certificate).unwrap();
        files::create_new(&pair.path("a.key"), key.as_bytes(), SECRET).unwrap();
        pair
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn load(&self, now: u64) -> Result<Loaded<Identity>, IdentityError> {
        Identity::from_files_at(&self.path("a.crt"), &self.path("a.key"), now)
    }
}

#[test]
fn the_first_load_creates_and_later_loads_agree() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("nested").join("data");
    let first = Identity::load_or_create(&data).unwrap();
    let second = Identity::load_or_create(&data).unwrap();
    assert_eq!(first.value.id(), second.value.id());
    assert_eq!(first.value.certificate(), second.value.certificate());
    assert_eq!((first.warning, second.warning), (None, None));
    let certificate = first.value.parsed();
    assert!(certificate.self_issued);
    assert_eq!(certificate.common_name, Some(first.value.id().to_string()));
    assert_eq!(certificate.grants, None);
    let years = (first.value.not_after() - unix_now()) / YEAR;
    assert!((9..=10).contains(&years), "{years}");
}

#[cfg(unix)]
#[test]
fn key_and_folder_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    Identity::load_or_create(&data).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join(KEY_FILE)), 0o600);

    fs::set_permissions(data.join(KEY_FILE), fs::Permissions::from_mode(0o644)).unwrap();
    let loaded = Identity::load_or_create(&data).unwrap();
    assert!(matches!(
        loaded.warning,
        Some(Warning::KeyReadable { mode: 0o644, .. })
    ));
}

#[test]
fn processes_that_start_together_get_one_identity() {
    let dir = tempfile::tempdir().unwrap();
    let load = || Identity::load_or_create(dir.path()).unwrap().value.id();
    let ids: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn an_existing_key_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(KEY_FILE), "damaged").unwrap();
    let error = Identity::load_or_create(dir.path()).unwrap_err();
    assert!(error.to_string().contains(KEY_FILE), "{error}");
    assert_eq!(fs::read(dir.path().join(KEY_FILE)).unwrap(), b"damaged");
}

#[test]
fn a_lost_or_ending_self_signed_certificate_is_renewed_with_the_same_id() {
    let dir = tempfile::tempdir().unwrap();
    let load = |now| Identity::load_or_create_at(dir.path(), now).unwrap();
    let first = load(NOW);
    fs::remove_file(dir.path().join(CERTIFICATE_FILE)).unwrap();
    let again = load(NOW);
    assert_eq!((again.value.id(), again.warning), (first.value.id(), None));

    for late in [NOW + 10 * YEAR - 86_400, NOW + 30 * YEAR] {
        let renewed = load(late);
        assert_eq!(renewed.value.id(), first.value.id());
        assert!(renewed.value.not_after() > late + 9 * YEAR);
        assert!(matches!(renewed.warning, Some(Warning::Reissued { .. })));
        assert_eq!(load(late).warning, None);
    }
}

#[test]
fn signatures_verify_with_the_certificates_key() {
    let identity = Identity::ephemeral().unwrap();
    let signature = identity.sign(b"advertisement");
    let key = &identity.parsed().public_key;
    assert!(verify_signature(key, b"advertisement", &signature));
    assert!(!verify_signature(key, b"advertisemenT", &signature));
    assert!(format!("{identity:?}").contains(&identity.id().to_string()));
}

#[test]
fn a_matching_pair_of_files_loads() {
    let issued = self_signed_issued(NOW, 10);
    let loaded = Pair::new(&issued.certificate_pem, &issued.key_pem)
        .load(NOW)
        .unwrap();
    assert_eq!(loaded.value.id(), issued.id);
    assert_eq!(loaded.value.certificate(), &issued.certificate);
    assert_eq!(loaded.warning, None);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (one, other) = (self_signed_issued(NOW, 10), self_signed_issued(NOW, 10));
    let error = Pair::new(&one.certificate_pem, &other.key_pem)
        .load(NOW)
        .unwrap_err();
    assert!(
        matches!(error, IdentityError::KeyMismatch { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("a.key"), "{error}");
}

#[test]
fn unreadable_and_foreign_files_are_refused_by_name() {
    let issued = self_signed_issued(NOW, 10);
    let pair = Pair::new(&issued.certificate_pem, &issued.key_pem);
    let missing = Identity::from_files_at(&pair.path("a.crt"), &pair.path("b.key"), NOW);
    let error = missing.unwrap_err();
    assert!(
        matches!(error, IdentityError::Pem(PemError::Read { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("b.key"), "{error}");

    let error = Pair::new("text", &issued.key_pem).load(NOW).unwrap_err();
    assert!(error.to_string().contains("no PEM certificate"), "{error}");
    let error = Pair::new(&issued.certificate_pem, "text")
        .load(NOW)
        .unwrap_err();
    assert!(error.to_string().contains("no PEM private key"), "{error}");
}

#[test]
fn other_key_types_are_refused_by_name() {
    let issued = self_signed_issued(NOW, 10);
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_RSA_SHA256] {
        let (der, key) = crate::identity::testing::certificate_with(algorithm, |_| {});
        let error = Pair::new(&issued.certificate_pem, &key.serialize_pem()).load(NOW);
        assert!(error.unwrap_err().to_string().contains("not an Ed25519"));
        assert_eq!(Certificate::parse(&der), Err(CertificateError::NotEd25519));
    }
}

#[test]
fn a_certificate_outside_its_period_is_refused() {
    let issued = self_signed_issued(NOW, 10);
    let pair = Pair::new(&issued.certificate_pem, &issued.key_pem);
    let error = pair.load(NOW + 11 * 86_400).unwrap_err();
    assert!(matches!(error, IdentityError::Expired { .. }), "{error}");
    assert!(error.to_string().contains("2025-12-01"), "{error}");
    let error = pair.load(NOW - 86_400).unwrap_err();
    assert!(
        matches!(error, IdentityError::NotYetValid { .. }),
        "{error}"
    );
}

#[test]
fn a_ca_is_no_agent() {
    let (_, ca) = crate::identity::Authority::create("mesh", Validity::days(NOW, 10)).unwrap();
    let error = Pair::new(&ca.certificate_pem, &ca.key_pem)
        .load(NOW)
        .unwrap_err();
    assert!(matches!(error, IdentityError::IsCa { .. }), "{error}");
}

#[test]
fn an_expired_certificate_that_a_ca_issued_is_not_renewed_here() {
    let issued = Mesh::new("mesh")
        .authority
        .issue("a", None, Validity::days(NOW, 1))
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    issued
        .store(
            &dir.path().join(CERTIFICATE_FILE),
            &dir.path().join(KEY_FILE),
        )
        .unwrap();
    let error = Identity::load_or_create_at(dir.path(), NOW + YEAR).unwrap_err();
    assert!(matches!(error, IdentityError::Expired { .. }), "{error}");
}

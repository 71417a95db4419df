use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ED25519,
};

use super::*;
use crate::identity::testing::{Mesh, NOW, certificate_with, pins, self_signed_at};
use crate::identity::{Authority, Identity, Validity};

const DAY: u64 = 86_400;

/// The refusal of `identity` by `trust` at `time`.
fn refusal(trust: &Trust, identity: &Identity, time: u64) -> TrustError {
    trust.verify(identity.chain(), time).unwrap_err()
}

#[test]
fn members_of_the_mesh_and_pinned_ids_are_accepted() {
    let mesh = Mesh::new("mesh");
    let member = mesh.agent_at(NOW, 10, None);
    let verified = mesh.trust(&[]).verify(member.chain(), NOW).unwrap();
    assert_eq!(verified, *member.parsed());

    let pinned = self_signed_at(NOW, 10);
    let trust = mesh.trust(&[pinned.id()]);
    assert_eq!(trust.verify(pinned.chain(), NOW).unwrap().id, pinned.id());
    assert!(trust.is_pinned(pinned.id()) && !trust.is_pinned(member.id()));
    pins(&[member.id()]).verify(member.chain(), NOW).unwrap();
}

#[test]
fn every_refusal_says_which_it_is() {
    let (mesh, foreign) = (Mesh::new("mesh"), Mesh::new("other"));
    let namesake = Mesh::new("mesh");
    let trust = mesh.trust(&[]);
    let stranger = self_signed_at(NOW, 10);
    let member = mesh.agent_at(NOW, 10, None);
    for (error, label) in [
        (refusal(&trust, &stranger, NOW), "stranger"),
        (
            refusal(&trust, &foreign.agent_at(NOW, 10, None), NOW),
            "foreign CA",
        ),
        (
            refusal(&trust, &namesake.agent_at(NOW, 10, None), NOW),
            "foreign CA",
        ),
        (refusal(&trust, &member, NOW + 11 * DAY), "expired"),
        (refusal(&trust, &member, NOW - DAY), "not yet valid"),
        (refusal(&pins(&[]), &member, NOW), "foreign CA"),
        (trust.verify(&[], NOW).unwrap_err(), "no certificate"),
        (
            trust.verify(&[vec![1, 2, 3].into()], NOW).unwrap_err(),
            "bad certificate",
        ),
        (
            trust
                .verify(std::slice::from_ref(&mesh.ca), NOW)
                .unwrap_err(),
            "rejected chain",
        ),
    ] {
        assert_eq!(error.label(), label);
        assert!(
            error.to_string().starts_with(&format!("{label}: ")),
            "{error}"
        );
    }
}

#[test]
fn a_pin_does_not_outlive_the_certificate() {
    let pinned = self_signed_at(NOW, 10);
    let trust = pins(&[pinned.id()]);
    let error = refusal(&trust, &pinned, NOW + 11 * DAY);
    assert!(matches!(error, TrustError::Expired { id, .. } if id == pinned.id()));
    let error = refusal(&trust, &pinned, NOW - DAY);
    assert!(matches!(error, TrustError::NotYetValid { .. }));
}

#[test]
fn the_expected_id_counts_even_inside_the_mesh() {
    let mesh = Mesh::new("mesh");
    let (one, other) = (mesh.agent_at(NOW, 10, None), mesh.agent_at(NOW, 10, None));
    let trust = mesh.trust(&[one.id(), other.id()]);
    trust.verify_as(Some(one.id()), one.chain(), NOW).unwrap();
    let error = trust
        .verify_as(Some(one.id()), other.chain(), NOW)
        .unwrap_err();
    assert_eq!(
        error,
        TrustError::WrongId {
            expected: one.id(),
            found: other.id()
        }
    );
    assert!(error.to_string().starts_with("wrong id: "), "{error}");
}

#[test]
fn an_expired_ca_ends_the_trust_in_its_certificates() {
    let (authority, ca) = Authority::create("old", Validity::days(NOW, 5)).unwrap();
    // Beside the one that `issue` refuses to make: the same CA, valid for longer.
    let params = CertificateParams::default();
    let issuer_key = KeyPair::from_pkcs8_pem_and_sign_algo(&ca.key_pem, &PKCS_ED25519).unwrap();
    let issuer = Issuer::from_ca_cert_der(&ca.certificate, issuer_key).unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let leaf = CertificateDer::from(params.signed_by(&key, &issuer).unwrap());
    let mut trust = pins(&[]);
    trust.add_ca(&ca.certificate).unwrap();
    trust.verify(std::slice::from_ref(&leaf), NOW).unwrap();
    let error = trust.verify(&[leaf], NOW + 6 * DAY).unwrap_err();
    assert_eq!(error.label(), "expired CA");
    drop(authority);
}

#[test]
fn a_member_cannot_sign_for_others() {
    let mesh = Mesh::new("mesh");
    let issued = mesh
        .authority
        .issue("sly", None, Validity::days(NOW, 10))
        .unwrap();
    let sly_key = KeyPair::from_pkcs8_pem_and_sign_algo(&issued.key_pem, &PKCS_ED25519).unwrap();
    let sly = Issuer::from_ca_cert_der(&issued.certificate, sly_key).unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let leaf = CertificateParams::default().signed_by(&key, &sly).unwrap();
    let error = mesh
        .trust(&[])
        .verify(&[leaf.into(), issued.certificate], NOW)
        .unwrap_err();
    assert_eq!(error.label(), "rejected chain", "{error}");
}

#[test]
fn certificates_for_other_purposes_stay_out() {
    let ca_key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut ca_params = CertificateParams::default();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut trust = pins(&[]);
    trust
        .add_ca(&ca_params.self_signed(&ca_key).unwrap().into())
        .unwrap();
    let issuer = Issuer::new(ca_params, ca_key);
    use ExtendedKeyUsagePurpose::{ClientAuth, CodeSigning, ServerAuth};
    for (purposes, accepted) in [
        (vec![], true),
        (vec![ServerAuth, ClientAuth], true),
        (vec![ServerAuth, CodeSigning, ClientAuth], true),
        (vec![ServerAuth], false),
        (vec![ClientAuth], false),
        (vec![CodeSigning], false),
    ] {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.extended_key_usages = purposes.clone();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let result = trust.verify(&[leaf.into()], NOW);
        assert_eq!(result.is_ok(), accepted, "{purposes:?}: {result:?}");
    }
}

#[test]
fn ca_files_that_cannot_be_trusted_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.crt");
    let load = || Trust::new([&path], BTreeSet::new()).unwrap_err();
    assert!(load().to_string().contains("ca.crt"));
    fs::write(&path, "text").unwrap();
    assert!(matches!(
        load(),
        TrustLoadError::Pem(PemError::NotPem { .. })
    ));

    let (mesh, _) = Authority::create("mesh", Validity::days(NOW, 10)).unwrap();
    let agent = mesh.issue("a", None, Validity::days(NOW, 5)).unwrap();
    fs::write(&path, agent.certificate_pem).unwrap();
    assert!(load().to_string().contains("trust.allow"));

    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let ecdsa = CertificateParams::default().self_signed(&key).unwrap();
    fs::write(&path, ecdsa.pem()).unwrap();
    assert!(matches!(load(), TrustLoadError::BadCertificate { .. }));
}

#[test]
fn the_mesh_ca_is_the_agents_own_or_else_that_of_all_peers() {
    let dir = tempfile::tempdir().unwrap();
    let ca = |name: &str| {
        let path = dir.path().join(name);
        let (authority, issued) = Authority::create(name, Validity::days(NOW, 100)).unwrap();
        fs::write(&path, issued.certificate_pem).unwrap();
        let agent = authority.issue("a", None, Validity::days(NOW, 10)).unwrap();
        (path, Identity::from_issued(agent).unwrap())
    };
    let ((own, of_own), (one, of_one), (two, of_two)) = (ca("own"), ca("one"), ca("two"));
    let peers = || [one.as_path(), two.as_path(), one.as_path()];
    let accepts = |trust: &Trust| {
        [&of_own, &of_one, &of_two].map(|agent| trust.verify(agent.chain(), NOW).is_ok())
    };
    let mesh = Trust::mesh(Some(&own), peers(), BTreeSet::new()).unwrap();
    assert_eq!(accepts(&mesh), [true, false, false]);
    assert_eq!(accepts(&mesh.with_ca(&one).unwrap()), [false, true, false]);
    let mesh = Trust::mesh(None, peers(), BTreeSet::from([of_own.id()])).unwrap();
    assert_eq!(accepts(&mesh), [true, true, true]);
    assert_eq!(accepts(&mesh.with_ca(&two).unwrap()), [true, false, true]);
    assert_eq!(
        accepts(&Trust::mesh(None, [], BTreeSet::new()).unwrap()),
        [false; 3]
    );
}

#[test]
fn a_critical_extension_that_nobody_understands_refuses_even_a_pinned_certificate() {
    let (der, _) = certificate_with(&PKCS_ED25519, |params| {
        let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 9999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    });
    let id = Certificate::parse(&der).unwrap().id;
    assert_eq!(
        pins(&[id]).verify(&[der], NOW).unwrap_err().label(),
        "bad certificate"
    );
}

#[test]
fn no_certificate_with_a_flipped_bit_is_accepted() {
    let mesh = Mesh::new("mesh");
    let trust = mesh.trust(&[]);
    let der = mesh.agent_at(NOW, 10, None).certificate().to_vec();
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut bent = der.clone();
            bent[at] ^= 1 << bit;
            assert!(
                trust.verify(&[bent.into()], NOW).is_err(),
                "byte {at} bit {bit}"
            );
        }
    }
}

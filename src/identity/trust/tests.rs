use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::*;
use crate::identity::testing::{DAY, NOW, authority, days, member, shaped, stranger, trust};
use crate::identity::{Authority, Identity, Validity, issue};

/// The label of the refusal; empty: accepted.
fn refusal(trust: &Trust, chain: &[CertificateDer<'_>]) -> &'static str {
    let judged = trust.verify(chain, NOW);
    judged.map_or_else(|error| error.label(), |_| "")
}

#[test]
fn members_of_the_mesh_and_pinned_agents_are_accepted_and_nobody_else() {
    let (ca, ca_file) = authority("mesh");
    let (other, _) = authority("another mesh");
    let (namesake, _) = authority("mesh");
    let issue = |ca: &Authority| ca.issue("agent", None, days(30)).unwrap();
    let (member, foreign, forged) = (issue(&ca), issue(&other), issue(&namesake));
    let (alone, friend) = (stranger(), stranger());
    let trust = trust(&[&ca_file], &[friend.id]);
    for (certificate, expected) in [
        (&member.certificate, ""),
        (&friend.certificate, ""),
        (&alone.certificate, "stranger"),
        (&foreign.certificate, "foreign CA"),
        (&forged.certificate, "foreign CA"),
    ] {
        let chain = std::slice::from_ref(certificate);
        assert_eq!(refusal(&trust, chain), expected);
    }
    let accepted = trust.verify(&[member.certificate], NOW).unwrap();
    assert_eq!((accepted.id, accepted.grants), (member.id, None));
    // The CA's key is no agent's, and a CA in the chain does not vouch for itself.
    assert_ne!(
        refusal(&trust, std::slice::from_ref(&ca_file.certificate)),
        ""
    );
    let (rogue, rogue_file) = authority("rogue");
    let chain = [issue(&rogue).certificate, rogue_file.certificate];
    assert_eq!(refusal(&trust, &chain), "foreign CA");
}

#[test]
fn with_neither_a_ca_nor_ids_nobody_is_trusted() {
    let (ca, _) = authority("mesh");
    let nobody = trust(&[], &[]);
    let member = ca.issue("agent", None, days(30)).unwrap();
    for certificate in [member.certificate, stranger().certificate] {
        assert_ne!(refusal(&nobody, &[certificate]), "");
    }
}

#[test]
fn a_certificate_counts_in_its_period_alone_even_of_a_pinned_agent() {
    let (ca, ca_file) = authority("mesh");
    let member = ca.issue("agent", None, days(30)).unwrap();
    let friend = stranger();
    let trust = trust(&[&ca_file], &[friend.id]);
    for certificate in [member.certificate, friend.certificate] {
        let chain = [certificate];
        let label = |at| trust.verify(&chain, at).map_or_else(|e| e.label(), |_| "");
        assert_eq!(label(NOW - 3_600), "");
        assert_eq!(label(NOW - 3_601), "not yet valid");
        assert_eq!(label(NOW + 30 * DAY), "");
        assert_eq!(label(NOW + 30 * DAY + 1), "expired");
    }
}

#[test]
fn a_ca_counts_in_its_period_alone() {
    let later = Validity {
        not_before: NOW + DAY,
        not_after: NOW + 100 * DAY,
    };
    let (ca, ca_file) = Authority::create("mesh", later).unwrap();
    let chain = [ca.issue("agent", None, days(30)).unwrap().certificate];
    let trust = trust(&[&ca_file], &[]);
    assert_eq!(refusal(&trust, &chain), "expired CA");
    assert!(trust.verify(&chain, NOW + DAY).is_ok());
}

#[test]
fn a_dialled_peer_must_be_the_one_that_was_meant() {
    let (ca, ca_file) = authority("mesh");
    let member = ca.issue("agent", None, days(30)).unwrap();
    let friend = stranger();
    let trust = trust(&[&ca_file], &[friend.id]);
    let chain = [member.certificate];
    assert!(trust.verify_as(Some(member.id), &chain, NOW).is_ok());
    let wrong = trust.verify_as(Some(friend.id), &chain, NOW);
    let (expected, found) = (friend.id, member.id);
    assert_eq!(wrong, Err(TrustError::WrongId { expected, found }));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let friend = stranger();
    let trust = trust(&[], &[friend.id]);
    assert_eq!(refusal(&trust, &[]), "no certificate");
    let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
    assert_eq!(refusal(&trust, &[garbage]), "bad certificate");
    let mut longer = friend.certificate.to_vec();
    longer.push(0);
    assert_eq!(refusal(&trust, &[longer.into()]), "bad certificate");
    let mut bent = friend.certificate.to_vec();
    *bent.last_mut().unwrap() ^= 1;
    // Pinned is the key; the handshake proves it, not the self-signature.
    assert_eq!(refusal(&trust, &[bent.into()]), "");
}

#[test]
fn certificates_of_the_ca_for_other_purposes_stay_out() {
    use ExtendedKeyUsagePurpose::{ClientAuth, CodeSigning, ServerAuth};
    let (_, ca_file) = authority("mesh");
    let trust = trust(&[&ca_file], &[]);
    for (purposes, expected) in [
        (vec![], ""),
        (vec![ServerAuth, ClientAuth], ""),
        (vec![ServerAuth, ClientAuth, CodeSigning], ""),
        (vec![ServerAuth], "rejected chain"),
        (vec![ClientAuth], "rejected chain"),
        (vec![CodeSigning], "rejected chain"),
    ] {
        let shaped = shaped(&ca_file, |params| {
            params.extended_key_usages = purposes.clone();
        });
        assert_eq!(refusal(&trust, &[shaped.der]), expected, "{purposes:?}");
    }
}

#[test]
fn neither_a_ca_in_between_nor_an_agent_signs_for_others() {
    let (_, ca_file) = authority("mesh");
    let trust = trust(&[&ca_file], &[]);
    for is_ca in [true, false] {
        let middle = shaped(&ca_file, |params| {
            if is_ca {
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
                params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            }
        });
        let key = KeyPair::from_pem(&middle.key_pem).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&middle.certificate_pem, key).unwrap();
        let leaf_key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let params = issue::agent_params("agent", days(30)).unwrap();
        let leaf = params.signed_by(&leaf_key, &issuer).unwrap();
        let chain = [leaf.der().clone(), middle.der];
        assert_eq!(refusal(&trust, &chain), "foreign CA", "{is_ca}");
        assert_eq!(refusal(&trust, &chain[..1]), "foreign CA", "{is_ca}");
    }
}

/// Some tools write the whole chain into one file.
#[test]
fn what_follows_the_agents_certificate_does_not_matter() {
    let (ca, ca_file) = authority("mesh");
    let trust = trust(&[&ca_file], &[]);
    let member = ca.issue("agent", None, days(30)).unwrap().certificate;
    let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
    for next in [ca_file.certificate, stranger().certificate, garbage] {
        assert_eq!(refusal(&trust, &[member.clone(), next]), "");
    }
}

#[test]
fn refusals_begin_with_their_label() {
    let id = AgentId([7; 16]);
    let issuer = "mesh\"".to_owned();
    for error in [
        TrustError::NoCertificate,
        TrustError::BadCertificate(CertificateError::NotEd25519),
        TrustError::WrongId {
            expected: id,
            found: id,
        },
        TrustError::Expired { id, not_after: 0 },
        TrustError::NotYetValid { id, not_before: 0 },
        TrustError::Stranger { id },
        TrustError::ForeignCa { id, issuer },
        TrustError::ExpiredCa {
            id,
            ca: "mesh".to_owned(),
        },
        TrustError::RejectedChain {
            id,
            reason: webpki::Error::BadDer,
        },
    ] {
        let text = error.to_string();
        assert!(text.starts_with(&format!("{}:", error.label())), "{text}");
    }
}

#[test]
fn files_that_are_no_ca_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.crt");
    let open = || Trust::new([&path], BTreeSet::new()).map(|_| ());
    assert!(matches!(open(), Err(TrustLoadError::Pem(_))), "missing");
    std::fs::write(&path, stranger().certificate_pem).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error, TrustLoadError::NotCa { .. }), "{error}");
    assert!(error.to_string().contains("some.crt"), "{error}");
}

#[test]
fn the_own_ca_rules_and_those_of_the_peers_stand_in() {
    let dir = tempfile::tempdir().unwrap();
    let cas = ["own", "peer"].map(|name| {
        let (ca, file) = authority(name);
        let path = dir.path().join(name);
        std::fs::write(&path, file.certificate_pem).unwrap();
        (
            Pem::from(path),
            [ca.issue("agent", None, days(30)).unwrap().certificate],
        )
    });
    let [(own, of_own), (peer, of_peer)] = &cas;
    let peers = [peer, peer];
    let both = Trust::mesh(Some(own), peers, BTreeSet::new()).unwrap();
    assert_eq!(refusal(&both, of_own), "");
    assert_eq!(refusal(&both, of_peer), "foreign CA");
    let standing_in = Trust::mesh(None, peers, BTreeSet::new()).unwrap();
    assert_eq!(refusal(&standing_in, of_peer), "");
    let one = both.with_ca(peer).unwrap();
    assert_eq!(refusal(&one, of_peer), "");
    assert_eq!(refusal(&one, of_own), "foreign CA");
}

#[test]
fn who_is_revoked_is_refused_however_trusted() {
    let (ca, ca_file) = authority("mesh");
    let agent = member(&ca, "agent");
    let other = member(&ca, "other");
    let trust = trust(&[&ca_file], &[other.id()]);
    let verify = |identity: &Identity| trust.verify(&identity.chain(), NOW);
    assert!(verify(&agent).is_ok() && verify(&other).is_ok());
    let serial = format!("serial:{}", agent.parsed().serial);
    for revoked in [agent.id().to_string(), serial] {
        let revoked = [revoked.parse().unwrap()].into_iter().collect();
        trust.revoked().replace(revoked);
        let id = agent.id();
        assert_eq!(verify(&agent), Err(TrustError::Revoked { id }));
        assert!(verify(&other).is_ok());
    }
    let pinned = [other.id().to_string().parse().unwrap()];
    trust.revoked().replace(pinned.into_iter().collect());
    assert!(verify(&other).is_err(), "a pin does not help");
    assert!(verify(&agent).is_ok(), "taken back");
}

#[test]
fn connections_end_with_their_certificates_and_not_with_a_clock_set_back() {
    let (ca, ca_file) = authority("mesh");
    let agent = member(&ca, "agent");
    let credential = agent.parsed().credential();
    let trust = trust(&[&ca_file], &[]);
    let end = agent.not_after();
    for (at, ends) in [
        (0, false),
        (NOW, false),
        (end, false),
        (end + 120, false),
        (end + 121, true),
        (u64::MAX, true),
    ] {
        assert_eq!(trust.ends(&credential, at).is_some(), ends, "{at}");
    }
    let id = agent.id().to_string().parse().unwrap();
    trust.revoked().replace([id].into_iter().collect());
    let ends = trust.ends(&credential, NOW).unwrap();
    assert_eq!(ends.label(), "revoked");
}

#[test]
fn connections_end_with_the_ca_that_signed_their_certificates() {
    let (_, ca) = Authority::create("mesh", days(10)).unwrap();
    let (_, other) = authority("mesh");
    let shaped = shaped(&ca, |_| ());
    let certificate = Certificate::parse(&shaped.der).unwrap();
    let id = certificate.id;
    let end = NOW + 10 * DAY;
    // Another CA of that name does not help, a pin does.
    for (trust, ends) in [
        (trust(&[&ca], &[]), true),
        (trust(&[&ca, &other], &[]), true),
        (trust(&[&other, &ca], &[id]), false),
    ] {
        let credential = certificate.credential();
        assert!(trust.ends(&credential, end + 120).is_none());
        let ended = trust.ends(&credential, end + 121);
        assert_eq!(ended.is_some(), ends, "{ended:?}");
        let verified = trust
            .verify(std::slice::from_ref(&shaped.der), NOW)
            .unwrap();
        assert_eq!(verified.not_after == end, ends);
    }
}

#[test]
fn links_end_with_a_ca_that_only_one_peer_may_use() {
    let (_, peers) = Authority::create("of one peer", days(10)).unwrap();
    let (_, mesh) = authority("mesh");
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, issued: &crate::identity::Issued| {
        let path = dir.path().join(name);
        std::fs::write(&path, &issued.certificate_pem).unwrap();
        Pem::from(path)
    };
    let (mesh, of_one) = (file("mesh.crt", &mesh), file("peer.crt", &peers));
    let shaped = shaped(&peers, |_| ());
    let chain = std::slice::from_ref(&shaped.der);
    let credential = Certificate::parse(&shaped.der).unwrap().credential();
    let trust = Trust::mesh(Some(&mesh), [&of_one], BTreeSet::new()).unwrap();
    let end = NOW + 10 * DAY;
    assert_eq!(trust.ends(&credential, end + 120), None);
    assert_eq!(
        trust
            .ends(&credential, end + 121)
            .map(|ended| ended.label()),
        Some("expired CA")
    );
    // It is nobody's word for anything else.
    assert!(trust.verify(chain, NOW).is_err());
    assert!(trust.with_ca(&of_one).unwrap().verify(chain, NOW).is_ok());
}

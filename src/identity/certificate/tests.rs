use rcgen::{CertificateParams, KeyPair, SanType};

use super::*;
use crate::identity::testing::{NOW, authority, days, shaped, stranger};

#[test]
fn only_ed25519_keys_are_read() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_RSA_SHA256] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let other = CertificateParams::default().self_signed(&key).unwrap();
        let read = Certificate::parse(other.der());
        assert_eq!(read, Err(CertificateError::NotEd25519));
    }
}

#[test]
fn a_certificate_is_all_of_its_bytes() {
    let issued = stranger();
    let whole = &issued.certificate;
    assert_eq!(Certificate::parse(whole).unwrap().id, issued.id);
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        let read = Certificate::parse(&whole[..cut]);
        assert!(matches!(read, Err(CertificateError::Malformed(_))), "{cut}");
    }
    let longer = [&whole[..], &[0]].concat();
    let read = Certificate::parse(&longer);
    assert!(matches!(read, Err(CertificateError::Malformed(_))));
}

#[test]
fn the_id_is_the_keys_and_the_fingerprint_the_certificates() {
    let (ca, _) = authority("mesh");
    let dir = tempfile::tempdir().unwrap();
    let (file, key) = (dir.path().join("a.crt"), dir.path().join("a.key"));
    let first = ca.issue("agent", None, days(30)).unwrap();
    first.store(&file, &key).unwrap();
    let second = ca.reissue(&key, "renamed", None, days(60)).unwrap();
    let [first, second] = [first, second].map(|issued| Certificate::parse(&issued.certificate));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.id, second.id);
    assert_eq!(first.public_key, second.public_key);
    assert_ne!(first.fingerprint, second.fingerprint);
}

#[test]
fn both_ends_of_the_period_are_inside() {
    let certificate = Certificate::parse(&stranger().certificate).unwrap();
    let (from, to) = (certificate.not_before, certificate.not_after);
    assert!(from < NOW && NOW < to);
    for (at, expected) in [
        (from - 1, ValidityAt::NotYet),
        (from, ValidityAt::Valid),
        (to, ValidityAt::Valid),
        (to + 1, ValidityAt::Expired),
    ] {
        assert_eq!(certificate.validity_at(at), expected);
    }
}

#[test]
fn a_malformed_grant_refuses_the_certificate_and_other_names_do_not() {
    let (_, ca) = authority("mesh");
    let with = |uri: &str| {
        let uri = SanType::URI(uri.try_into().unwrap());
        let name = SanType::DnsName("agent.example".try_into().unwrap());
        let shaped = shaped(&ca, |params| params.subject_alt_names = vec![name, uri]);
        Certificate::parse(&shaped.der)
    };
    let granted = with("warren:route:10.0.0.0/8").unwrap().grants.unwrap();
    assert!(granted.allows_prefix(&"10.1.0.0/16".parse().unwrap()));
    assert!(!granted.allows_prefix(&"11.0.0.0/8".parse().unwrap()));
    assert_eq!(with("https://agent.example/").unwrap().grants, None);
    for wrong in [
        "warren:route:10.0.0.1/8",
        "warren:route:",
        "warren:rout:10.0.0.0/8",
    ] {
        let read = with(wrong);
        assert!(matches!(read, Err(CertificateError::Grant(_))), "{wrong}");
    }
}

type Shape = dyn Fn(&mut CertificateParams);

/// Has these alternative names.
fn named(names: Vec<SanType>) -> Box<Shape> {
    Box::new(move |params| params.subject_alt_names.clone_from(&names))
}

#[test]
fn what_begins_like_a_grant_where_it_grants_nothing_refuses_the_certificate() {
    let (_, ca) = authority("mesh");
    let grant = "warren:route:10.0.0.0/8";
    let name = |text: &str| text.try_into().unwrap();
    let (dns, uri) = (
        |text| SanType::DnsName(name(text)),
        |text| SanType::URI(name(text)),
    );
    let shapes: [(&str, Box<Shape>); 9] = [
        ("dns", named(vec![dns(grant)])),
        (
            "mail",
            named(vec![SanType::Rfc822Name(name("Warren:Route:::/0"))]),
        ),
        (
            "dns beside a grant",
            named(vec![uri("warren:domain:a.example"), dns(grant)]),
        ),
        ("blank-led", named(vec![uri(" warren:route:10.0.0.0/8")])),
        (
            "misspelt scheme",
            named(vec![uri("waren:route:10.0.0.0/8")]),
        ),
        (
            "other name",
            named(vec![SanType::OtherName((
                vec![1, 3, 6, 1, 4, 1, 1],
                rcgen::OtherNameValue::Utf8String(grant.to_owned()),
            ))]),
        ),
        (
            "common name",
            Box::new(move |params| {
                params
                    .distinguished_name
                    .push(rcgen::DnType::CommonName, grant);
            }),
        ),
        (
            "wide organisation",
            Box::new(move |params| {
                let wide = rcgen::string::BmpString::try_from(grant).unwrap();
                let wide = rcgen::DnValue::BmpString(wide);
                params
                    .distinguished_name
                    .push(rcgen::DnType::OrganizationName, wide);
            }),
        ),
        (
            "comment",
            Box::new(move |params| {
                let der = [&[0x16, grant.len() as u8][..], grant.as_bytes()].concat();
                let oid = [2, 16, 840, 1, 113_730, 1, 13];
                let comment = rcgen::CustomExtension::from_oid_content(&oid, der);
                params.custom_extensions = vec![comment];
            }),
        ),
    ];
    for (what, shape) in shapes {
        let read = Certificate::parse(&shaped(&ca, shape).der);
        assert!(
            matches!(read, Err(CertificateError::Grant(_))),
            "{what}: {read:?}"
        );
    }
}

#[test]
fn names_that_are_no_grants_are_let_be() {
    let (_, ca) = authority("warren development");
    let shaped = shaped(&ca, |params| {
        let name = |text: &str| text.try_into().unwrap();
        params.subject_alt_names = vec![
            SanType::DnsName(name("warren-exit.example")),
            SanType::DnsName(name("warren.domain.example")),
            SanType::URI(name("spiffe://mesh/warren")),
            SanType::IpAddress([127, 0, 0, 1].into()),
        ];
        let name = "warren exit 1";
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
    });
    let read = Certificate::parse(&shaped.der).unwrap();
    assert_eq!(read.grants, None);
    assert!(read.is_silent());
    let warnings = read.warnings(Roles::ALL);
    assert!(
        warnings[0].contains("warren cert agent --renew"),
        "{warnings:?}"
    );
    assert_eq!(warnings.len(), 1);
}

/// A host called warren, and words of the grants that are an organisation's own.
#[test]
fn addresses_and_units_that_only_look_like_grants_refuse_nothing() {
    let (_, ca) = authority("mesh");
    for url in [
        "http://warren:8080/ca.crl",
        "ldap://warren:389/cn=ca",
        "warren:",
    ] {
        let shaped = shaped(&ca, |params| {
            let der = [&[0x86, url.len() as u8][..], url.as_bytes()].concat();
            let oid = [2, 5, 29, 31];
            let points = rcgen::CustomExtension::from_oid_content(&oid, der);
            params.custom_extensions = vec![points];
        });
        assert_eq!(
            Certificate::parse(&shaped.der).unwrap().grants,
            None,
            "{url}"
        );
    }
    for unit in [
        "domain/servers",
        "route=66",
        "Resolve: all",
        "x:domain:servers",
    ] {
        let shaped = shaped(&ca, |params| {
            params
                .distinguished_name
                .push(rcgen::DnType::OrganizationalUnitName, unit);
        });
        assert_eq!(
            Certificate::parse(&shaped.der).unwrap().grants,
            None,
            "{unit}"
        );
    }
}

#[test]
fn chains_are_split_where_certificates_end() {
    let ders: Vec<_> = (0..5).map(|_| stranger().certificate).collect();
    let bytes = |count: usize| -> Vec<u8> {
        let ders = ders[..count].iter();
        ders.flat_map(|der| der.to_vec()).collect()
    };
    for count in 1..=MAX_CHAIN {
        assert_eq!(split_chain(&bytes(count)).unwrap(), ders[..count]);
    }
    assert_eq!(split_chain(&[]), None);
    assert_eq!(split_chain(&bytes(MAX_CHAIN + 1)), None, "too many");
    assert_eq!(split_chain(&[&bytes(2)[..], &[0x30]].concat()), None);
}

use super::*;

fn grants(uris: &[&str]) -> Grants {
    Grants::from_uris(uris.iter().copied()).unwrap().unwrap()
}

#[test]
fn foreign_uris_are_no_grants() {
    for uris in [
        &[][..],
        &["https://example.com"],
        &["spiffe://mesh/agent", "warre"],
    ] {
        assert_eq!(Grants::from_uris(uris.iter().copied()), Ok(None));
    }
}

#[test]
fn prefixes_are_allowed_when_one_grant_covers_them() {
    let grants = grants(&[
        "warren:route:10.0.0.0/8",
        "warren:route:192.168.4.0/23",
        "warren:route:2001:db8::/32",
        "https://unrelated.example",
    ]);
    for (prefix, allowed) in [
        ("10.0.0.0/8", true),
        ("10.1.2.3/32", true),
        ("10.0.0.0/7", false),
        ("0.0.0.0/0", false),
        ("11.0.0.0/8", false),
        ("192.168.4.0/24", true),
        ("192.168.5.0/24", true),
        ("192.168.6.0/24", false),
        ("2001:db8:1::/48", true),
        ("2001:db9::/32", false),
        ("::/0", false),
        ("::ffff:10.0.0.0/104", false),
        ("2001:db8::1/32", false),
    ] {
        let net = prefix.parse().unwrap();
        assert_eq!(grants.allows_prefix(&net), allowed, "{prefix}");
    }
    assert!(
        !grants.allows_domain(&"api.example.com".parse().unwrap()),
        "a certificate with only routes grants no domain"
    );
}

#[test]
fn an_ipv6_grant_covers_no_ipv4_in_disguise() {
    let grants = grants(&["warren:route:::/0"]);
    for (prefix, allowed) in [
        ("2001:db8::/32", true),
        ("::/0", true),
        ("::192.0.2.9/128", true),
        ("::ffff:192.0.2.9/128", false),
        ("::ffff:0:0/96", false),
    ] {
        let net = prefix.parse().unwrap();
        assert_eq!(grants.allows_prefix(&net), allowed, "{prefix}");
    }
}

#[test]
fn domains_are_allowed_when_one_grant_covers_them() {
    let grants = grants(&[
        "warren:domain:*.corp.example",
        "warren:domain:api.example.com",
    ]);
    for (domain, allowed) in [
        ("*.corp.example", true),
        ("*.eu.corp.example", true),
        ("db.corp.example", true),
        ("corp.example", false),
        ("*.example", false),
        ("notcorp.example", false),
        ("api.example.com", true),
        ("API.example.com", true),
        ("*.api.example.com", false),
        ("v1.api.example.com", false),
    ] {
        let pattern = domain.parse().unwrap();
        assert_eq!(grants.allows_domain(&pattern), allowed, "{domain}");
    }
    assert!(!grants.allows_prefix(&"10.0.0.0/8".parse().unwrap()));
}

#[test]
fn malformed_grants_fail_closed() {
    for uri in [
        "warren:",
        "warren:route",
        "warren:route:",
        "warren:route:10.0.0.1/8",
        "warren:route:10.0.0.0/33",
        "warren:route:10.0.0.0",
        "warren:route:::ffff:10.0.0.0/104",
        "warren:route:10.0.0.0/08",
        "warren:domain:127.1",
        "warren:route: 10.0.0.0/8",
        "warren:domain:",
        "warren:domain:*",
        "warren:domain:a..b",
        "warren:port:22",
        "WARREN:ROUTE:10.0.0.0/8",
        "Warren:everything",
        "warren:resolve:",
        "warren:resolve:**",
        "warren:resolve:*.*",
        "warren:group:",
        "warren:group",
        "warren:group:a b",
        "warren:group:a,b",
        "warren:group:*",
        "warren:group:-ops",
        "group:ops",
        "warren:role:",
        "warren:role:Exit",
        "warren:role:exit,transit",
        "warren:role",
        "warren:none:",
        "warren:unrestricted:10.0.0.0/8",
        " warren:route:10.0.0.0/8",
        "waren:route:10.0.0.0/8",
        "warren://route/10.0.0.0/8",
        "urn:warren:route:10.0.0.0/8",
    ] {
        let error = Grants::from_uris([uri]).unwrap_err();
        assert_eq!(error.text, uri);
    }
}

#[test]
fn the_scheme_ignores_case() {
    let upper = grants(&["WARREN:route:10.0.0.0/8"]);
    assert!(upper.allows_prefix(&"10.0.0.0/8".parse().unwrap()));
}

#[test]
fn uris_read_back_as_the_same_grants() {
    let uris = [
        "warren:route:::/0",
        "warren:route:10.0.0.0/8",
        "warren:domain:*.corp.example",
    ];
    let read = grants(&uris);
    assert_eq!(read.uris().collect::<Vec<_>>(), uris);
}

#[test]
fn every_grant_reads_back() {
    for uris in [
        &["warren:none"][..],
        &["warren:unrestricted"],
        &["warren:role:transit", "warren:unrestricted"],
        &["warren:role:ingress"],
        &["warren:role:ingress", "warren:role:transit"],
        &["warren:resolve:*"],
        &[
            "warren:route:10.0.0.0/8",
            "warren:resolve:*.a.example",
            "warren:role:exit",
        ],
    ] {
        assert_eq!(grants(uris).uris().collect::<Vec<_>>(), uris);
    }
    // Nothing at all would be unrestricted.
    let nothing: Vec<String> = Grants::default().uris().collect();
    assert_eq!(nothing, ["warren:none"]);
}

#[test]
fn nothing_and_everything_are_said_aloud() {
    let (net, domain) = ("10.0.0.0/8".parse().unwrap(), "a.example".parse().unwrap());
    for (uri, allowed) in [
        ("warren:none", false),
        ("warren:role:exit", false),
        ("warren:role:ingress", false),
        ("warren:unrestricted", true),
    ] {
        let grants = grants(&[uri]);
        assert_eq!(grants.allows_prefix(&net), allowed, "{uri}");
        assert_eq!(grants.allows_domain(&domain), allowed, "{uri}");
        assert_eq!(grants.allows_resolving("a.example"), allowed, "{uri}");
    }
    let mapped = "::ffff:10.0.0.0/104".parse().unwrap();
    assert!(!grants(&["warren:unrestricted"]).allows_prefix(&mapped));
}

#[test]
fn names_are_resolved_where_a_pattern_says_so() {
    for (uri, name, allowed) in [
        ("warren:resolve:*", "bank.example", true),
        ("warren:resolve:*", "localhost", true),
        ("warren:resolve:*.corp.example", "db.corp.example.", true),
        ("warren:resolve:*.corp.example", "DB.CORP.EXAMPLE", true),
        ("warren:resolve:*.corp.example", "corp.example", false),
        ("warren:resolve:*.corp.example", "bank.example", false),
        ("warren:resolve:db.example", "db.example", true),
        ("warren:domain:*.corp.example", "db.corp.example", false),
        ("warren:route:0.0.0.0/0", "bank.example", false),
    ] {
        assert_eq!(
            grants(&[uri]).allows_resolving(name),
            allowed,
            "{uri} {name}"
        );
    }
}

#[test]
fn roles_are_all_until_one_is_named() {
    let roles = |uris: &[&str]| grants(uris).roles();
    assert_eq!(roles(&["warren:none"]), Roles::ALL);
    assert_eq!(roles(&["warren:route:10.0.0.0/8"]), Roles::ALL);
    let transit = Roles {
        transit: true,
        ..Roles::default()
    };
    assert_eq!(roles(&["warren:role:transit"]), transit);
}

#[test]
fn grants_that_contradict_each_other_fail_closed() {
    for uris in [
        &["warren:unrestricted", "warren:route:10.0.0.0/8"][..],
        &["warren:resolve:*", "warren:unrestricted"],
        &["warren:role:transit", "warren:route:10.0.0.0/8"],
        &["warren:role:ingress", "warren:resolve:*"],
    ] {
        assert!(Grants::from_uris(uris.iter().copied()).is_err(), "{uris:?}");
    }
}

#[test]
fn a_prefix_with_host_bits_says_what_to_write() {
    let error = parse_prefix("10.1.2.3/8").unwrap_err();
    assert!(error.contains("did you mean 10.0.0.0/8?"), "{error}");
}

#[test]
fn groups_restrict_nothing_and_have_one_form() {
    let everything = grants(&[
        "warren:unrestricted",
        "warren:group:Ops",
        "warren:group:ops",
    ]);
    assert!(everything.allows_prefix(&"10.0.0.0/8".parse().unwrap()));
    let uris: Vec<_> = everything.uris().collect();
    assert_eq!(uris, ["warren:group:ops", "warren:unrestricted"]);
    // Who is only in a group has grants, and none that let it originate anything.
    let alone = grants(&["warren:group:ops"]);
    assert!(!alone.allows_prefix(&"10.0.0.0/8".parse().unwrap()));
    assert_eq!(alone.roles(), Roles::ALL);
    assert_eq!(alone.uris().collect::<Vec<_>>(), ["warren:group:ops"]);
}

#[test]
fn a_certificate_names_so_many_groups_and_no_more() {
    let uris = |count| (0..count).map(|n| format!("warren:group:g{n}"));
    let read = |count| {
        let uris: Vec<String> = uris(count).collect();
        Grants::from_uris(uris.iter().map(String::as_str))
    };
    assert_eq!(read(32).unwrap().unwrap().groups.len(), 32);
    let error = read(33).unwrap_err().to_string();
    assert!(error.contains("32 groups at most"), "{error}");
}

//! Grants: which prefixes and domains a certificate lets its agent originate.
//!
//! They travel as URI subject alternative names, `warren:route:10.0.0.0/8` and
//! `warren:domain:*.corp.example`. A certificate with none is unrestricted; one with any allows
//! only what they cover. What cannot be understood refuses the whole certificate.

use ipnet::IpNet;

use super::DomainPattern;
use crate::canonical;

/// The URI scheme of grants. Schemes compare without case (RFC 3986 section 3.1).
const SCHEME: &str = "warren:";

/// What a certificate lets its agent originate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub prefixes: Vec<IpNet>,
    pub domains: Vec<DomainPattern>,
}

/// A URI of the grant scheme that is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("grant {uri:?} is malformed: {reason}")]
pub struct GrantError {
    /// The URI as the certificate has it.
    pub uri: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Grants {
    /// Reads the grants among `uris`; other schemes are ignored. `None`: there is no grant.
    pub fn from_uris<'a>(
        uris: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Self>, GrantError> {
        let mut grants = None;
        for uri in uris {
            let Some(grant) = strip_scheme(uri) else {
                continue;
            };
            grants
                .get_or_insert_with(Self::default)
                .add(grant)
                .map_err(|reason| GrantError {
                    uri: uri.to_owned(),
                    reason,
                })?;
        }
        Ok(grants)
    }

    /// The grants as URIs, prefixes first.
    pub fn uris(&self) -> impl Iterator<Item = String> + '_ {
        let prefixes = self.prefixes.iter();
        let domains = self.domains.iter();
        prefixes
            .map(|prefix| format!("{SCHEME}route:{prefix}"))
            .chain(domains.map(|domain| format!("{SCHEME}domain:{domain}")))
    }

    /// Whether one granted prefix covers all of `prefix`. Nothing covers one in odd form.
    pub fn allows_prefix(&self, prefix: &IpNet) -> bool {
        canonical::is_prefix(prefix) && self.prefixes.iter().any(|granted| granted.contains(prefix))
    }

    /// Whether one granted pattern covers every name under `domain`.
    pub fn allows_domain(&self, domain: &DomainPattern) -> bool {
        self.domains.iter().any(|granted| granted.covers(domain))
    }

    fn add(&mut self, grant: &str) -> Result<(), String> {
        match grant.split_once(':') {
            Some(("route", prefix)) => self.prefixes.push(parse_prefix(prefix)?),
            Some(("domain", domain)) => self.domains.push(
                domain
                    .parse::<DomainPattern>()
                    .map_err(|error| error.to_string())?,
            ),
            Some(_) | None => {
                return Err("expected `warren:route:<CIDR>` or `warren:domain:<NAME>`".into());
            }
        }
        Ok(())
    }
}

/// A CIDR prefix in canonical form; the error says what to write instead.
pub fn parse_prefix(text: &str) -> Result<IpNet, String> {
    canonical::parse_prefix(text).map_err(|error| format!("`{text}` {error}"))
}

fn strip_scheme(uri: &str) -> Option<&str> {
    let (scheme, grant) = uri.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(grant)
}

#[cfg(test)]
mod tests {
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
        ] {
            let error = Grants::from_uris([uri]).unwrap_err();
            assert_eq!(error.uri, uri);
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
    fn a_prefix_with_host_bits_says_what_to_write() {
        let error = parse_prefix("10.1.2.3/8").unwrap_err();
        assert!(error.contains("did you mean 10.0.0.0/8?"), "{error}");
    }
}

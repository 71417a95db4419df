//! Certificate chains as a neighbour may flood them: after a byte that chooses the time, what stands
//! in the place of DER.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::LazyLock;

use warren::identity::{Certificate, Grants, Trust, split_chain};

/// The CA that signed the seeds; its key is gone.
const CA: &str = include_str!("../fixtures/ca.crt");

/// The first second at which the CA and its agents are valid, Unix time.
const MADE: u64 = 1_795_284_681;

const YEAR: u64 = 365 * 86_400;

static TRUST: LazyLock<Trust> = LazyLock::new(|| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(CA.as_bytes()).expect("room for it");
    Trust::new([file.path()], BTreeSet::new()).expect("a CA certificate")
});

/// Reading never panics, and nobody is trusted whose certificate does not say so.
pub fn run(input: &[u8]) {
    let Some((when, der)) = input.split_first() else {
        return;
    };
    let now = MADE + u64::from(*when) * YEAR / 16;
    if let Ok(certificate) = Certificate::parse(der) {
        check_grants(certificate.grants.as_ref());
    }
    let Some(chain) = split_chain(der) else {
        return;
    };
    let joined: Vec<u8> = chain.iter().flat_map(|der| der.iter().copied()).collect();
    assert_eq!(joined, der, "a chain is cut, not changed");
    if let Ok(trusted) = TRUST.verify(&chain, now) {
        assert!((trusted.not_before..=trusted.not_after).contains(&now));
        let leaf = Certificate::parse(&chain[0]).expect("it was trusted");
        assert_eq!(leaf, trusted);
    }
}

fn check_grants(grants: Option<&Grants>) {
    let Some(grants) = grants else { return };
    let uris: Vec<String> = grants.uris().collect();
    let again = Grants::from_uris(uris.iter().map(String::as_str));
    assert_eq!(again.as_ref().map(Option::as_ref), Ok(Some(grants)));
    assert!(grants.prefixes.iter().all(|own| grants.allows_prefix(own)));
    assert!(grants.domains.iter().all(|own| grants.allows_domain(own)));
}

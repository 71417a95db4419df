//! Short texts that people and certificates give: ids, names, prefixes, grants, destinations,
//! password hashes.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use warren::api::Dest;
use warren::canonical;
use warren::identity::{AgentId, DomainPattern, Grants, Revocation, Revocations, Serial};
use warren::identity::{parse_prefix, password};

/// What is accepted is shown in a form that reads back as the same.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    reads_back::<AgentId>(text);
    reads_back::<Dest>(text);
    reads_back::<Revocation>(text);
    reads_back::<Serial>(text);
    let (revocations, errors) = Revocations::parse(text);
    assert!(revocations.count() + errors.len() <= text.lines().count());
    if let Some(pattern) = reads_back::<DomainPattern>(text) {
        assert!(pattern.covers(&pattern));
        match &pattern {
            DomainPattern::Exact(name) => assert!(pattern.matches(name)),
            DomainPattern::Below(parent) => {
                assert!(!pattern.matches(parent) && pattern.matches(&format!("a.{parent}")));
            }
        }
    }
    if let Ok(prefix) = parse_prefix(text) {
        assert!(canonical::is_prefix(&prefix));
        assert_eq!(parse_prefix(&prefix.to_string()), Ok(prefix));
    }
    if let Ok(Some(grants)) = Grants::from_uris(text.lines()) {
        let uris: Vec<String> = grants.uris().collect();
        let again = Grants::from_uris(uris.iter().map(String::as_str));
        assert_eq!(again, Ok(Some(grants)));
    }
    if password::check_format(text).is_err() {
        assert!(!password::verify(text, "password"), "a malformed hash");
    }
}

fn reads_back<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Debug> + Display + Debug + PartialEq,
{
    let read: T = text.parse().ok()?;
    let again = read.to_string().parse::<T>();
    assert_eq!(again.expect("what is shown reads back"), read);
    Some(read)
}

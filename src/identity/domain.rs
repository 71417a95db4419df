//! Domain patterns: exact names and `*.` suffixes, as domain routes and grants use them.

use std::fmt;
use std::str::FromStr;

use crate::canonical;

/// A name that a domain route or grant covers. Lower case, no trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DomainPattern {
    /// Exactly this name.
    Exact(String),
    /// Any name of at least one more label below this one, at any depth (`*.corp.example`).
    Below(String),
}

/// Why a text is not a domain pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a domain pattern: {reason}")]
pub struct DomainPatternError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl DomainPattern {
    /// Whether `name` falls under this pattern. Case and one trailing dot are ignored.
    pub fn matches(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        match self {
            Self::Exact(exact) => *exact == name,
            Self::Below(parent) => name
                .strip_suffix(parent.as_str())
                .is_some_and(|head| head.len() > 1 && head.ends_with('.')),
        }
    }

    /// Whether every name under `other` falls under this pattern too.
    pub fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Exact(name) => self.matches(name),
            Self::Below(parent) => match self {
                Self::Exact(_) => false,
                Self::Below(own) => own == parent || self.matches(parent),
            },
        }
    }
}

impl FromStr for DomainPattern {
    type Err = DomainPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason| DomainPatternError {
            text: text.to_owned(),
            reason,
        };
        let lower = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let (name, below) = match lower.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (lower.as_str(), false),
        };
        if name.is_empty() || name.len() > 253 {
            return Err(error("a name has 1 to 253 characters"));
        }
        for label in name.split('.') {
            if label.is_empty() || label.len() > 63 {
                return Err(error("a label has 1 to 63 characters"));
            }
            if label.contains('*') {
                return Err(error("`*` may only stand alone as the first label"));
            }
            if !label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            {
                return Err(error(
                    "labels are letters, digits, `-` and `_`; write other scripts as punycode",
                ));
            }
        }
        if !below && canonical::is_number_address(name) {
            return Err(error("numbers alone are an address, not a name"));
        }
        Ok(if below {
            Self::Below(name.to_owned())
        } else {
            Self::Exact(name.to_owned())
        })
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(parent) => write!(f, "*.{parent}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> DomainPattern {
        text.parse().unwrap()
    }

    #[test]
    fn patterns_match_whole_labels() {
        for (text, name, matches) in [
            ("api.example.com", "api.example.com", true),
            ("api.example.com", "API.Example.com.", true),
            ("api.example.com", "v1.api.example.com", false),
            ("*.corp.example", "db.corp.example", true),
            ("*.corp.example", "a.b.corp.example", true),
            ("*.corp.example", "DB.CORP.EXAMPLE.", true),
            ("*.corp.example", "corp.example", false),
            ("*.corp.example", ".corp.example", false),
            ("*.corp.example", "notcorp.example", false),
            ("*.corp.example", "corp.example.evil", false),
            ("*.corp.example", "", false),
        ] {
            assert_eq!(pattern(text).matches(name), matches, "{text} {name}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_matches_all_of() {
        for (wide, narrow, covers) in [
            ("*.corp.example", "*.corp.example", true),
            ("*.corp.example", "*.eu.corp.example", true),
            ("*.corp.example", "db.corp.example", true),
            ("*.corp.example", "corp.example", false),
            ("*.eu.corp.example", "*.corp.example", false),
            ("db.corp.example", "db.corp.example", true),
            ("db.corp.example", "*.db.corp.example", false),
        ] {
            assert_eq!(
                pattern(wide).covers(&pattern(narrow)),
                covers,
                "{wide} {narrow}"
            );
        }
    }

    #[test]
    fn text_is_normalised_and_reads_back() {
        for (text, normal) in [
            ("API.Example.com.", "api.example.com"),
            ("*.Corp.Example", "*.corp.example"),
            (
                "_srv._tcp.xn--bcher-kva.example",
                "_srv._tcp.xn--bcher-kva.example",
            ),
        ] {
            assert_eq!(pattern(text).to_string(), normal);
            assert_eq!(pattern(normal), pattern(text));
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = vec!["a".repeat(60); 5].join(".");
        for (text, reason) in [
            ("", "1 to 253"),
            (".", "1 to 253"),
            ("*.", "stand alone"),
            (&long_name, "1 to 253"),
            ("a..b", "1 to 63"),
            (&long_label, "1 to 63"),
            ("*", "stand alone"),
            ("a.*.b", "stand alone"),
            ("*x.example", "stand alone"),
            ("*.*.example", "stand alone"),
            ("b\u{fc}cher.example", "punycode"),
            ("a b.example", "punycode"),
            ("10.0.0.1", "numbers alone"),
            ("127.1", "numbers alone"),
            ("0x7f.1", "numbers alone"),
        ] {
            let error = text.parse::<DomainPattern>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }
}

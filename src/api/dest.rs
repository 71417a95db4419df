//! What can be asked about: an address or a name.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::identity::DomainPattern;

/// A destination without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dest {
    Ip(IpAddr),
    /// Lower case, no trailing dot.
    Name(String),
}

/// A text that is neither an address nor a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a destination: {reason}")]
pub struct DestError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for Dest {
    type Err = DestError;

    /// Reads `10.0.0.1`, `2001:db8::1`, `[2001:db8::1]` or a host name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason| DestError {
            text: text.to_owned(),
            reason,
        };
        // The trailing dot of a name may stand behind an IPv4 address, too: it is no name then.
        let address = text.strip_suffix('.').unwrap_or(text);
        let bare = address.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(address).parse::<IpAddr>() {
            return Ok(Self::Ip(ip.to_canonical()));
        }
        if text.contains('/') {
            return Err(error("give one address or name, not a prefix or URL"));
        }
        if text.contains(':') {
            return Err(error(
                "give the address or name without a port; routes know no ports",
            ));
        }
        match text.parse::<DomainPattern>() {
            Ok(DomainPattern::Exact(name)) => Ok(Self::Name(name)),
            Ok(DomainPattern::Below(_)) => Err(error("give one name, not a pattern")),
            Err(source) => Err(error(source.reason)),
        }
    }
}

impl fmt::Display for Dest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1"),
            ("2001:DB8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("10.0.0.1.", "10.0.0.1"),
        ] {
            let dest: Dest = text.parse().unwrap();
            assert!(matches!(dest, Dest::Ip(_)), "{text}");
            assert_eq!(dest.to_string(), shown);
        }
        let name: Dest = "API.Example.com.".parse().unwrap();
        assert_eq!(name, Dest::Name("api.example.com".into()));
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        for (text, reason) in [
            ("10.0.0.1:80", "without a port"),
            ("example.com:443", "without a port"),
            ("[2001:db8::1]:443", "without a port"),
            ("10.0.0.0/8", "not a prefix"),
            ("http://example.com", "not a prefix or URL"),
            ("*.corp.example", "not a pattern"),
            ("", "1 to 253"),
            ("a b", "letters"),
        ] {
            let error = text.parse::<Dest>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}

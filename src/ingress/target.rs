//! What clients ask for, in the form that a [`Request`](super::Request) has it in, whatever they speak.

use std::net::SocketAddr;

use crate::canonical;
use crate::names::{is_name, without_dot};
use crate::wire::Target;

/// An address. IPv4-mapped ones are IPv4.
pub(super) fn at(address: SocketAddr) -> Target {
    Target::Address(canonical::socket_address(address))
}

/// A name, or an address in text; `None`: no name can look like this.
pub(super) fn named(name: &str, port: u16) -> Option<Target> {
    // The trailing dot of a name may stand behind an IPv4 address, too: it is no name then.
    let bare = without_dot(name);
    if let Ok(ip) = bare.trim_matches(['[', ']']).parse() {
        return Some(at(SocketAddr::new(ip, port)));
    }
    // The dot of a name goes on to who resolves it: it keeps search lists out.
    let is_sound = is_name(bare) && !canonical::is_number_address(bare);
    is_sound.then(|| Target::Domain(name.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<Target> {
        named(text, 80)
    }

    #[test]
    fn names_are_normalised_and_checked() {
        assert_eq!(
            name("API.Example.com."),
            Some(Target::Domain("api.example.com.".to_owned(), 80))
        );
        assert!(name(&["a"; 127].join(".")).is_some(), "253 bytes");
        for impossible in [
            "",
            ".",
            "a..b",
            "a b",
            "a\0b",
            "bücher.example",
            "a/b",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            &"a".repeat(64),
            &["a"; 128].join("."),
        ] {
            assert_eq!(name(impossible), None, "{impossible:?}");
        }
    }

    #[test]
    fn addresses_are_canonical_however_they_are_written() {
        let v4 = Some(Target::Address("10.0.0.1:80".parse().unwrap()));
        assert_eq!(name("10.0.0.1"), v4);
        assert_eq!(name("::ffff:10.0.0.1"), v4);
        assert_eq!(name("10.0.0.1."), v4);
        let mapped = at("[::ffff:10.0.0.1]:80".parse().unwrap());
        assert_eq!(Some(mapped), v4);
        let v6 = Some(Target::Address("[2001:db8::1]:80".parse().unwrap()));
        assert_eq!(name("[2001:db8::1]"), v6);
    }
}

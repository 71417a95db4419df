//! The one form of every address and prefix. Whatever comes in by another is brought into it or
//! refused at the door, so that nothing behind compares two forms of one thing: a fence around
//! `10.0.0.0/8` that does not know `::ffff:10.0.0.0/104` is none.
//!
//! - An IPv4 address is an IPv4 address. Its IPv4-mapped form (`::ffff:a.b.c.d`, RFC 4291 section
//!   2.5.5.2) is one to every socket, so it is one here.
//! - A prefix has no host bits, and one inside `::ffff:0:0/96` is an IPv4 prefix. A shorter one
//!   around that range, `::/0` too, means IPv6 addresses only.
//! - Forms that a translator or tunnel turns into IPv4 somewhere (compatible, NAT64, 6to4) are IPv6
//!   addresses: who forwards to them judges what they carry.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

/// Bits of `::ffff:0:0/96` before the IPv4 address.
const MAPPED_BITS: u8 = 96;

/// A text that is no prefix in canonical form: what is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    #[error("is not a prefix; write CIDR: 10.0.0.0/8")]
    Malformed,
    #[error("has no prefix length; did you mean {0}?")]
    NoLength(IpNet),
    #[error("has a prefix length in odd form; did you mean {0}?")]
    OddLength(IpNet),
    #[error("has host bits set; did you mean {0}?")]
    HostBits(IpNet),
    #[error("is an IPv4 prefix in IPv6 form, which no target matches; did you mean {0}?")]
    Mapped(IpNet),
}

/// Whether `ip` is in canonical form.
pub fn is_address(ip: IpAddr) -> bool {
    ip == ip.to_canonical()
}

/// `at` with a canonical address. The scope of an IPv6 address stays.
pub fn socket_address(at: SocketAddr) -> SocketAddr {
    if is_address(at.ip()) {
        at
    } else {
        SocketAddr::new(at.ip().to_canonical(), at.port())
    }
}

/// Whether `prefix` is in canonical form.
pub fn is_prefix(prefix: &IpNet) -> bool {
    check_prefix(*prefix).is_ok()
}

/// Returns `prefix` if it is in canonical form.
pub fn check_prefix(prefix: IpNet) -> Result<IpNet, PrefixError> {
    let meant = unmapped(prefix.trunc());
    if meant == prefix {
        Ok(prefix)
    } else if prefix.trunc() != prefix {
        Err(PrefixError::HostBits(meant))
    } else {
        Err(PrefixError::Mapped(meant))
    }
}

/// Reads a CIDR prefix in canonical form. Case and compression of IPv6 do not matter.
pub fn parse_prefix(text: &str) -> Result<IpNet, PrefixError> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Err(PrefixError::NoLength(ip.to_canonical().into()));
    }
    let (address, length) = text.split_once('/').ok_or(PrefixError::Malformed)?;
    // The standard library's parsers: others take `010.0.0.0` for 10.0.0.0, or for 8.0.0.0.
    let ip: IpAddr = address.parse().map_err(|_| PrefixError::Malformed)?;
    let bits: u8 = length.parse().map_err(|_| PrefixError::Malformed)?;
    let prefix = IpNet::new(ip, bits).map_err(|_| PrefixError::Malformed)?;
    if length != bits.to_string() {
        return Err(PrefixError::OddLength(unmapped(prefix.trunc())));
    }
    check_prefix(prefix)
}

/// Whether `name`, without a trailing dot, is what inet_aton(3) and URLs take for an IPv4 address,
/// such as `127.1`, `0x7f.1` and `2130706433`: one to four numbers, decimal, octal or hexadecimal.
/// It is no name, whoever asks; and not asked for, nobody reads it as an address after a check that
/// did not.
pub fn is_number_address(name: &str) -> bool {
    let is_number = |part: &str| {
        let hex = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
        match hex {
            Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()),
        }
    };
    name.split('.').count() <= 4 && name.split('.').all(is_number)
}

/// `::ffff:a.b.c.d/n` as `a.b.c.d/(n - 96)`; any other prefix unchanged.
fn unmapped(prefix: IpNet) -> IpNet {
    let IpNet::V6(v6) = prefix else {
        return prefix;
    };
    let mapped: Option<Ipv4Addr> = v6.addr().to_ipv4_mapped();
    let length = v6.prefix_len().checked_sub(MAPPED_BITS);
    match mapped.zip(length) {
        Some((addr, length)) => Ipv4Net::new(addr, length).map_or(prefix, IpNet::V4),
        None => prefix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_have_one_form() {
        for text in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "192.0.2.1/32",
            "::/0",
            "::/80",
            "::/95",
            "::fffe:0:0/95",
            "::fffe:0:0/96",
            "::/96",
            "::192.0.2.0/120",
            "2001:db8::/32",
            "64:ff9b::/96",
        ] {
            let prefix = parse_prefix(text);
            assert_eq!(prefix, Ok(text.parse().unwrap()), "{text}");
        }
        assert_eq!(
            parse_prefix("2001:DB8:0:0::/32"),
            Ok("2001:db8::/32".parse().unwrap())
        );
    }

    #[test]
    fn other_forms_say_what_to_write() {
        for (text, hint) in [
            (
                "10.0.0.0",
                "has no prefix length; did you mean 10.0.0.0/32?",
            ),
            ("::ffff:10.0.0.1", "did you mean 10.0.0.1/32?"),
            ("10.0.0.1/8", "has host bits set; did you mean 10.0.0.0/8?"),
            (
                "::ffff:0:0/96",
                "IPv6 form, which no target matches; did you mean 0.0.0.0/0?",
            ),
            ("::ffff:10.0.0.0/104", "did you mean 10.0.0.0/8?"),
            ("::ffff:192.0.2.9/128", "did you mean 192.0.2.9/32?"),
            (
                "::ffff:10.0.0.1/104",
                "has host bits set; did you mean 10.0.0.0/8?",
            ),
            (
                "::ffff:0:0/95",
                "has host bits set; did you mean ::fffe:0:0/95?",
            ),
            ("10.0.0.0/08", "did you mean 10.0.0.0/8?"),
            ("10.0.0.0/+8", "in odd form; did you mean 10.0.0.0/8?"),
            ("10.0.0.0/ 8", "is not a prefix"),
            ("10.0.0.0/33", "is not a prefix"),
            ("10/8", "is not a prefix"),
            ("010.0.0.0/8", "is not a prefix"),
            ("0x0a.0.0.0/8", "is not a prefix"),
            ("fe80::%eth0/64", "is not a prefix"),
            ("", "is not a prefix"),
        ] {
            let error = parse_prefix(text).unwrap_err().to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    #[test]
    fn a_socket_address_keeps_its_scope() {
        for (text, canonical) in [
            ("[::ffff:10.0.0.1]:53", "10.0.0.1:53"),
            ("[fe80::1%3]:53", "[fe80::1%3]:53"),
            ("[::10.0.0.1]:53", "[::10.0.0.1]:53"),
            ("10.0.0.1:53", "10.0.0.1:53"),
        ] {
            let at: SocketAddr = text.parse().unwrap();
            assert_eq!(socket_address(at), canonical.parse().unwrap(), "{text}");
        }
    }

    #[test]
    fn numbers_are_no_names() {
        for text in [
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "0",
            "0x",
            "127.0.0.1",
            "1.2.3.999",
            "0X7F.0.0.1",
        ] {
            assert!(is_number_address(text), "{text}");
        }
        for text in [
            "",
            "a",
            "web.1",
            "1.example",
            "1.2.3.4.5",
            "127.0.0.0x7g",
            "x7f",
            ".1",
            "1.",
            "-1",
            "1e3",
            "0x7f.arpa",
        ] {
            assert!(!is_number_address(text), "{text}");
        }
    }
}

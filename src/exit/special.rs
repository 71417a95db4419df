//! Which addresses a route must mean on purpose: this host's insides, its link, its cloud's
//! metadata, and what is no single host at all. Pure; the tables are the ranges of IANA's
//! special-purpose registries (RFC 6890) that a connection from here could reach.
//!
//! An IPv6 address that carries an IPv4 address is that one's, too: translators and tunnels on the
//! way would unpack it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A range that a broader route does not include.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    pub range: IpNet,
    pub name: &'static str,
}

const fn v4(octets: [u8; 4], length: u8, name: &'static str) -> Special {
    let [a, b, c, d] = octets;
    Special {
        range: IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)),
        name,
    }
}

const fn v6(segments: [u16; 8], length: u8, name: &'static str) -> Special {
    let [a, b, c, d, e, f, g, h] = segments;
    Special {
        range: IpNet::V6(Ipv6Net::new_assert(
            Ipv6Addr::new(a, b, c, d, e, f, g, h),
            length,
        )),
        name,
    }
}

/// Every special range; a narrower one stands before the one that it lies in.
pub const SPECIAL: [Special; 15] = [
    v4([0, 0, 0, 0], 8, "this network"),
    v4([127, 0, 0, 0], 8, "loopback"),
    // Also where most clouds answer for credentials: 169.254.169.254.
    v4([169, 254, 0, 0], 16, "link-local and metadata"),
    // Alibaba's, Oracle's and Azure's, which are not link-local.
    v4([100, 100, 100, 200], 32, "metadata"),
    v4([192, 0, 0, 192], 32, "metadata"),
    v4([168, 63, 129, 16], 32, "metadata"),
    v4([224, 0, 0, 0], 4, "multicast"),
    v4([240, 0, 0, 0], 4, "reserved and broadcast"),
    v6([0; 8], 128, "unspecified"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback"),
    v6(
        [0xfe80, 0, 0, 0, 0, 0, 0, 0],
        9,
        "link-local and site-local",
    ),
    // Amazon's, inside the unique-local range.
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, "metadata"),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique-local"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast"),
    // RFC 8215 leaves its layout to whoever uses it; see `contained`.
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "local translation"),
];

/// The special range that a canonical address lies in.
pub(super) fn special(address: IpAddr) -> Option<&'static Special> {
    SPECIAL
        .iter()
        .find(|special| special.range.contains(&address))
}

/// The IPv4 addresses that a canonical address carries, by every scheme that could apply.
pub(super) fn contained(address: IpAddr) -> Vec<Ipv4Addr> {
    let IpAddr::V6(v6) = address else {
        return Vec::new();
    };
    let bytes = v6.octets();
    let at = |start: usize| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|n| bytes[start + n]);
        Ipv4Addr::new(a, b, c, d)
    };
    let last = at(12);
    let mut found = Vec::new();
    match v6.segments() {
        // Neither the unspecified address nor loopback carries anything.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => {}
        // IPv4-compatible (RFC 4291 section 2.5.5.1), IPv4-translated (RFC 2765), and the
        // well-known prefix of NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            found.push(last);
        }
        // 6to4 (RFC 3056).
        [0x2002, ..] => found.push(at(2)),
        // Teredo (RFC 4380): the server, and the client with its bits inverted.
        [0x2001, 0, ..] => found.extend([at(4), Ipv4Addr::from(!u32::from(last))]),
        _ => {}
    }
    // ISATAP (RFC 5214 section 6.1) under any prefix.
    if let [_, _, _, _, 0 | 0x200, 0x5efe, _, _] = v6.segments() {
        found.push(last);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_address_has_its_range() {
        for (address, name) in [
            ("0.0.0.0", Some("this network")),
            ("0.1.2.3", Some("this network")),
            ("126.255.255.255", None),
            ("127.0.0.1", Some("loopback")),
            ("127.255.255.255", Some("loopback")),
            ("169.254.169.254", Some("link-local and metadata")),
            ("169.255.0.0", None),
            ("100.100.100.200", Some("metadata")),
            ("100.100.100.201", None),
            ("192.0.0.192", Some("metadata")),
            ("168.63.129.16", Some("metadata")),
            ("223.255.255.255", None),
            ("224.0.0.1", Some("multicast")),
            ("239.255.255.255", Some("multicast")),
            ("255.255.255.255", Some("reserved and broadcast")),
            ("10.0.0.1", None),
            ("192.168.0.1", None),
            ("8.8.8.8", None),
            ("::", Some("unspecified")),
            ("::1", Some("loopback")),
            ("::2", None),
            ("fe80::1", Some("link-local and site-local")),
            ("fec0::1", Some("link-local and site-local")),
            ("fd00:ec2::254", Some("metadata")),
            ("fd00::1", Some("unique-local")),
            ("fc00::1", Some("unique-local")),
            ("fe00::1", None),
            ("ff02::1", Some("multicast")),
            ("64:ff9b:1::1", Some("local translation")),
            ("64:ff9b::1", None),
            ("2001:db8::1", None),
        ] {
            assert_eq!(special(ip(address)).map(|s| s.name), name, "{address}");
        }
    }

    #[test]
    fn ranges_have_no_host_bits_and_narrower_ones_come_first() {
        for (index, special) in SPECIAL.iter().enumerate() {
            assert_eq!(special.range, special.range.trunc());
            let later = &SPECIAL[index + 1..];
            assert!(!later.iter().any(|s| special.range.contains(&s.range)));
        }
    }

    #[test]
    fn what_an_address_carries_is_found_by_every_scheme() {
        for (address, carried) in [
            ("127.0.0.1", &[][..]),
            ("::", &[]),
            ("::1", &[]),
            ("::127.0.0.1", &["127.0.0.1"]),
            ("::ffff:0:127.0.0.1", &["127.0.0.1"]),
            ("64:ff9b::169.254.169.254", &["169.254.169.254"]),
            ("64:ff9b::8.8.8.8", &["8.8.8.8"]),
            ("64:ff9b:0:1::8.8.8.8", &[]),
            ("2002:7f00:1::1", &["127.0.0.1"]),
            ("2002:a9fe:a9fe::", &["169.254.169.254"]),
            ("2001:0:c000:201:0:0:80ff:fffe", &["192.0.2.1", "127.0.0.1"]),
            ("2001:db8::5efe:127.0.0.1", &["127.0.0.1"]),
            ("2001:db8::200:5efe:10.0.0.1", &["10.0.0.1"]),
            ("2001:db8::7f00:1", &[]),
        ] {
            let carried: Vec<Ipv4Addr> = carried.iter().map(|v4| v4.parse().unwrap()).collect();
            assert_eq!(contained(ip(address)), carried, "{address}");
        }
    }
}

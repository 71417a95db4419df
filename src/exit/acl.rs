//! What an exit may reach: its own routes, and names under its own domain routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixSet;

use super::special::{contained, special};
use crate::config;
use crate::identity::DomainPattern;
use crate::names::{Families, Family};

/// The exit's own prefixes and domains.
#[derive(Debug)]
pub struct Acl {
    prefixes: JointPrefixSet<IpNet>,
    /// `exit.allow_special`.
    opened: JointPrefixSet<IpNet>,
    domains: Vec<DomainPattern>,
}

impl Acl {
    /// Of this section.
    pub fn new(exit: &config::Exit) -> Self {
        Self {
            prefixes: exit.routes.iter().copied().collect(),
            opened: exit.allow_special.iter().copied().collect(),
            domains: exit.domain_routes.clone(),
        }
    }

    /// Whether `address`, in its canonical form, lies inside a route that means it. The unspecified
    /// address never does: the kernel takes it for this host's loopback.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !address.is_unspecified()
            && self.prefixes.get_lpm(&IpNet::from(address)).is_some()
            && self.allows_special(address)
    }

    /// Whether `address` and what it carries are nothing special, or opened: by a route that lies
    /// inside the special range, or by `exit.allow_special`.
    pub(super) fn allows_special(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let carried = contained(address).into_iter().map(IpAddr::V4);
        [address].into_iter().chain(carried).all(|address| {
            let host = IpNet::from(address);
            special(address).is_none_or(|special| {
                let route = self.prefixes.get_lpm(&host);
                route.is_some_and(|route| special.range.contains(&route))
                    || self.opened.get_lpm(&host).is_some()
            })
        })
    }

    /// The families in which a route leads beyond this host, if `host` can use them, or into it.
    pub(super) fn families(&self, host: Families) -> Families {
        // Loopback needs no address of the family elsewhere.
        let leads_inside = |family| {
            self.allows(match family {
                Family::V4 => Ipv4Addr::LOCALHOST.into(),
                Family::V6 => Ipv6Addr::LOCALHOST.into(),
            })
        };
        let useful = |family| {
            self.prefixes.iter().any(|prefix| {
                let is_of = matches!(prefix, IpNet::V6(_)) == (family == Family::V6);
                is_of && (host.is_useful(family) || leads_inside(family))
            })
        };
        Families::useful(useful(Family::V4), useful(Family::V6))
    }

    /// Whether a domain route covers `name`.
    pub(super) fn allows_name(&self, name: &str) -> bool {
        self.domains.iter().any(|pattern| pattern.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn acl(routes: &[&str], domains: &[&str]) -> Acl {
        Acl::new(&testing::config(routes, domains, vec![]))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// What a default route must not lead to, in every spelling.
    const INSIDES: [&str; 24] = [
        "127.0.0.1",
        "127.8.8.8",
        "169.254.169.254",
        "100.100.100.200",
        "0.1.2.3",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "fe80::1",
        "fd00::1",
        "fd00:ec2::254",
        "ff02::1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b::0.0.0.0",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "2001:0:c000:201:0:0:80ff:fffe",
        "2001:db8::5efe:127.0.0.1",
    ];

    #[test]
    fn a_default_route_does_not_lead_into_the_exits_insides() {
        let acl = acl(&["0.0.0.0/0", "::/0"], &[]);
        for address in INSIDES {
            assert!(!acl.allows(ip(address)), "{address}");
        }
        for address in [
            "8.8.8.8",
            "10.0.0.1",
            "192.168.1.1",
            "2001:db8::1",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "::8.8.8.8",
        ] {
            assert!(acl.allows(ip(address)), "{address}");
        }
    }

    #[test]
    fn a_route_inside_a_special_range_means_it() {
        let acl = acl(
            &[
                "0.0.0.0/0",
                "::/0",
                "127.0.0.0/8",
                "169.254.7.0/24",
                "::1/128",
                "fd00::/8",
            ],
            &[],
        );
        for (address, allowed) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("fd00::1", true),
            // The routes for it lie inside the unique-local range, not inside this one.
            ("fd00:ec2::254", false),
            ("fc00::1", false),
            ("169.254.7.1", true),
            ("169.254.169.254", false),
            // Its own route and its content's are both there.
            ("64:ff9b::127.0.0.1", true),
            ("64:ff9b::169.254.169.254", false),
        ] {
            assert_eq!(acl.allows(ip(address)), allowed, "{address}");
        }
    }

    #[test]
    fn allow_special_opens_what_a_route_covers_and_no_more() {
        let mut config = testing::config(&["0.0.0.0/0"], &[], vec![]);
        config.allow_special = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let acl = Acl::new(&config);
        assert!(acl.allows(ip("127.0.0.1")));
        assert!(!acl.allows(ip("169.254.169.254")));
        assert!(!acl.allows(ip("::1")), "no route");
        assert!(!acl.allows(ip("0.0.0.0")));
    }

    #[test]
    fn only_addresses_inside_a_route_are_allowed() {
        let acl = acl(&["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"], &[]);
        for (address, allowed) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("127.0.0.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("::1", false),
        ] {
            assert_eq!(acl.allows(address.parse().unwrap()), allowed, "{address}");
        }
    }

    #[test]
    fn a_mapped_address_is_judged_as_the_ipv4_address_it_is() {
        let v4 = acl(&["10.0.0.0/8"], &[]);
        assert!(v4.allows("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!v4.allows("::ffff:127.0.0.1".parse().unwrap()));
        let v6 = acl(&["::/0"], &[]);
        assert!(!v6.allows("::ffff:127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn the_unspecified_address_is_nobodys_route() {
        let acl = acl(&["0.0.0.0/0", "::/0"], &[]);
        assert!(acl.allows("192.0.2.1".parse().unwrap()));
        assert!(!acl.allows("0.0.0.0".parse().unwrap()));
        assert!(!acl.allows("::".parse().unwrap()));
    }

    #[test]
    fn a_family_is_of_use_where_routes_and_host_have_it() {
        let v4 = Families::useful(true, false);
        let both = Families::BOTH;
        for (routes, host, expected) in [
            (&["10.0.0.0/8"][..], both, v4),
            (&["10.0.0.0/8", "::/0"], both, both),
            (&["0.0.0.0/0", "::/0"], v4, v4),
            (&["127.0.0.0/8", "::1/128"], v4, both),
            (&["::/0"], v4, both),
            (&[], both, both),
        ] {
            assert_eq!(acl(routes, &[]).families(host), expected, "{routes:?}");
        }
    }

    #[test]
    fn names_need_a_domain_route() {
        let acl = acl(&[], &["*.corp.example", "api.example.com"]);
        assert!(acl.allows_name("DB.corp.example"));
        assert!(acl.allows_name("api.example.com."));
        assert!(!acl.allows_name("corp.example"));
        assert!(!acl.allows_name("example.com"));
    }
}

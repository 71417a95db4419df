//! What an exit may reach: its own routes, and names under its own domain routes.

use std::net::IpAddr;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixSet;

use crate::identity::DomainPattern;

/// The exit's own prefixes and domains.
#[derive(Debug)]
pub(super) struct Acl {
    prefixes: JointPrefixSet<IpNet>,
    domains: Vec<DomainPattern>,
}

impl Acl {
    pub(super) fn new(routes: &[IpNet], domains: &[DomainPattern]) -> Self {
        Self {
            prefixes: routes.iter().copied().collect(),
            domains: domains.to_vec(),
        }
    }

    /// Whether `address`, in its canonical form, lies inside a route. The unspecified address never
    /// does: the kernel takes it for this host's loopback.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !address.is_unspecified() && self.prefixes.get_lpm(&IpNet::from(address)).is_some()
    }

    /// Whether a domain route covers `name`.
    pub(super) fn allows_name(&self, name: &str) -> bool {
        self.domains.iter().any(|pattern| pattern.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(routes: &[&str], domains: &[&str]) -> Acl {
        let routes: Vec<_> = routes.iter().map(|route| route.parse().unwrap()).collect();
        let domains: Vec<_> = domains.iter().map(|name| name.parse().unwrap()).collect();
        Acl::new(&routes, &domains)
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
    fn names_need_a_domain_route() {
        let acl = acl(&[], &["*.corp.example", "api.example.com"]);
        assert!(acl.allows_name("DB.corp.example"));
        assert!(acl.allows_name("api.example.com."));
        assert!(!acl.allows_name("corp.example"));
        assert!(!acl.allows_name("example.com"));
    }
}

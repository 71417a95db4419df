//! Which address families are worth waiting for.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

use super::message::Family;

/// What becomes of a family's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It is not asked for.
    None,
    /// Nobody can use it, as far as is known: asked for, and waited for only by the way.
    Doubtful,
    Good,
}

/// What becomes of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    v4: Use,
    v6: Use,
}

impl Families {
    /// Both are waited for.
    pub const BOTH: Self = Self {
        v4: Use::Good,
        v6: Use::Good,
    };

    /// Those that are of use; both, if none is.
    pub fn useful(v4: bool, v6: bool) -> Self {
        let of = |is_useful| if is_useful { Use::Good } else { Use::Doubtful };
        if v4 || v6 {
            Self {
                v4: of(v4),
                v6: of(v6),
            }
        } else {
            Self::BOTH
        }
    }

    /// Whether an answer of `family` is worth waiting for.
    pub fn is_useful(self, family: Family) -> bool {
        self.of(family) == Use::Good
    }

    /// Only IPv4.
    pub(super) fn without_v6() -> Self {
        Self {
            v4: Use::Good,
            v6: Use::None,
        }
    }

    pub(super) fn is_asked(self, family: Family) -> bool {
        self.of(family) != Use::None
    }

    fn of(self, family: Family) -> Use {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

/// The families in which this host has an address that reaches beyond itself and its link; both,
/// if it has none or they cannot be read.
pub fn host_families() -> Families {
    let Ok(interfaces) = getifaddrs() else {
        return Families::BOTH;
    };
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    families_of(addresses)
}

fn families_of(addresses: impl Iterator<Item = IpAddr>) -> Families {
    let (mut has_v4, mut has_v6) = (false, false);
    for address in addresses {
        match address {
            IpAddr::V4(v4) => has_v4 |= !v4.is_loopback() && !v4.is_link_local(),
            IpAddr::V6(v6) => has_v6 |= !v6.is_loopback() && !v6.is_unicast_link_local(),
        }
    }
    Families::useful(has_v4, has_v6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_counts_where_it_leads_beyond_the_link() {
        for (addresses, v4, v6) in [
            (
                &["127.0.0.1", "::1", "192.0.2.1", "fe80::1"][..],
                true,
                false,
            ),
            (&["127.0.0.1", "::1", "fd00::1", "169.254.0.1"], false, true),
            (&["10.0.0.1", "2001:db8::1"], true, true),
            (&["127.0.0.1", "::1", "fe80::1"], true, true),
            (&[], true, true),
        ] {
            let parsed = addresses.iter().map(|address| address.parse().unwrap());
            assert_eq!(
                families_of(parsed),
                Families::useful(v4, v6),
                "{addresses:?}"
            );
        }
        // What it is here cannot be known; that it can be read can.
        assert!(getifaddrs().is_ok());
        let _ = host_families();
    }
}

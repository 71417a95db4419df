//! Virtual addresses: how quinn names the other end of a session whose packets take any path.
//!
//! quinn wants an address per peer and takes a changed one for a migration, so every agent gets a
//! stable one: a unique local prefix (RFC 4193) and its short id.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::identity::ShortId;

/// `fd` and the letters `warren`, then a zero byte: 64 bits.
const PREFIX: u64 = 0xfd77_6172_7265_6e00;

/// Every agent's port; quinn refuses to connect to port 0.
const PORT: u16 = 1;

/// The virtual address of an agent.
pub(crate) fn virtual_addr(id: ShortId) -> SocketAddr {
    let bits = (u128::from(PREFIX) << 64) | u128::from(id.0);
    SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(bits), PORT, 0, 0))
}

/// The agent behind a virtual address; `None` for any other address.
pub(crate) fn short_id(address: SocketAddr) -> Option<ShortId> {
    let SocketAddr::V6(v6) = address else {
        return None;
    };
    let bits = u128::from(*v6.ip());
    ((bits >> 64) as u64 == PREFIX).then_some(ShortId(bits as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_agent() {
        let id = ShortId(0x0123_4567_89ab_cdef);
        assert_eq!(short_id(virtual_addr(id)), Some(id));
        assert_eq!(short_id("127.0.0.1:1".parse().unwrap()), None);
        assert_eq!(short_id("[fd00::1]:1".parse().unwrap()), None);
    }
}

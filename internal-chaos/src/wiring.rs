//! Network namespaces joined by wires: each wire is a veth pair and a /24 of its own, whose number is
//! its place in the list.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::netns::{Netns, NetnsError};

/// The MTU of Ethernet, the commonest path.
pub const MTU: u32 = 1500;

/// Fixed ports stay below this, so that an outgoing connection never takes one.
const FIRST_EPHEMERAL_PORT: u16 = 10_240;

/// Who is joined with whom.
#[derive(Clone, Copy, Debug)]
pub struct Wiring<'a> {
    /// The second byte of all addresses.
    pub network: u8,
    /// A namespace each. Interfaces are called after whom they lead to.
    pub names: &'a [&'a str],
    /// Pairs of places in `names`.
    pub wires: &'a [(usize, usize)],
}

impl Wiring<'_> {
    /// The address of `node` on the wire to `other`.
    ///
    /// # Panics
    /// If no wire joins them.
    pub fn address(&self, node: usize, other: usize) -> Ipv4Addr {
        let is = |wire: &(usize, usize)| *wire == (node, other) || *wire == (other, node);
        let wire = self.wires.iter().position(is);
        let wire = wire.expect("only who is joined by a wire has addresses for each other");
        let end = if self.wires[wire].0 == node { 1 } else { 2 };
        let wire = u8::try_from(wire).expect("there are a few wires");
        Ipv4Addr::new(10, self.network, wire, end)
    }

    /// Makes the namespaces, each set up by a script that ends with what `more` says of it.
    pub fn build(&self, more: impl Fn(usize) -> String) -> Result<Vec<Netns>, NetnsError> {
        let nodes = self.names.iter().map(|name| Netns::create(name));
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        for &(one, other) in self.wires {
            let (left, right) = (self.names[other], self.names[one]);
            nodes[one].join(left, &nodes[other], right, MTU)?;
        }
        for (number, node) in nodes.iter().enumerate() {
            node.script(&(self.setup(number) + &more(number)))?;
        }
        Ok(nodes)
    }

    fn setup(&self, node: usize) -> String {
        // Connect storms leave tens of thousands of ports in TIME_WAIT.
        let mut script = format!(
            "ip link set lo up\n\
             if [ -e /proc/sys/net/ipv6 ]; then echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; fi\n\
             echo '{FIRST_EPHEMERAL_PORT} 65535' >/proc/sys/net/ipv4/ip_local_port_range\n\
             echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse\n"
        );
        for &(one, other) in self.wires {
            let to = match node {
                it if it == one => other,
                it if it == other => one,
                _ => continue,
            };
            let (address, name) = (self.address(node, to), self.names[to]);
            let _ = writeln!(script, "ip addr add {address}/24 dev {name}");
            let _ = writeln!(script, "ip link set {name} up");
        }
        script
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Wiring<'_> = Wiring {
        network: 77,
        names: &["ingress", "transit1", "exit"],
        wires: &[(0, 1), (1, 2)],
    };

    #[test]
    fn ends_of_a_wire_are_in_one_subnet_and_no_two_alike() {
        let mut addresses = std::collections::BTreeSet::new();
        for &(one, other) in ROW.wires {
            let ends = [ROW.address(one, other), ROW.address(other, one)];
            assert_eq!(ends[0].octets()[..3], ends[1].octets()[..3]);
            assert!(ends.into_iter().all(|end| addresses.insert(end)));
        }
    }

    #[test]
    fn a_node_has_an_interface_for_each_of_its_wires() {
        let middle = ROW.setup(1);
        assert!(
            middle.contains("ip addr add 10.77.0.2/24 dev ingress\n"),
            "{middle}"
        );
        assert!(
            middle.contains("ip addr add 10.77.1.1/24 dev exit\n"),
            "{middle}"
        );
        assert!(!ROW.setup(0).contains("10.77.1."));
    }
}

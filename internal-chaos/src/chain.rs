//! The topology of every measurement: namespaces in a row, joined by veth pairs.
//!
//! ```text
//!  node 0            node 1 … n          node n+1
//!  client, ingress ── transit ── … ── exit, target (on its loopback)
//!        10.77.0.0/24      10.77.1.0/24         10.77.200.1
//! ```
//!
//! Every node routes to every other one, so that plain TCP crosses the same wires; a proxy under
//! test dials only the neighbours that its configuration names.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::netns::{Netns, NetnsError};

/// The MTU of Ethernet, the commonest path.
pub const MTU: u32 = 1500;

/// Where target servers listen: an address of the last node's loopback interface.
pub const TARGET: Ipv4Addr = Ipv4Addr::new(10, 77, 200, 1);

/// The prefix that holds [`TARGET`] and that an exit advertises.
pub const TARGET_PREFIX: &str = "10.77.200.0/24";

/// Fixed ports stay below this, so that an outgoing connection never takes one.
const FIRST_EPHEMERAL_PORT: u16 = 10_240;

/// A row of namespaces. Dropping it deletes them and ends what runs inside.
#[derive(Debug)]
pub struct Chain {
    nodes: Vec<Netns>,
}

impl Chain {
    /// Builds an ingress, `transits` transits and an exit.
    pub fn build(transits: usize) -> Result<Self, NetnsError> {
        let count = transits + 2;
        let nodes = (0..count)
            .map(|index| Netns::create(&format!("n{index}")))
            .collect::<Result<Vec<_>, _>>()?;
        for pair in nodes.windows(2) {
            pair[0].join("right", &pair[1], "left", MTU)?;
        }
        for (index, node) in nodes.iter().enumerate() {
            node.script(&setup(index, count))?;
        }
        Ok(Self { nodes })
    }

    /// The namespaces, ingress first.
    pub fn nodes(&self) -> &[Netns] {
        &self.nodes
    }

    /// Client and ingress.
    pub fn first(&self) -> &Netns {
        &self.nodes[0]
    }

    /// Exit and targets.
    pub fn last(&self) -> &Netns {
        &self.nodes[self.nodes.len() - 1]
    }
}

/// The address that node `index` has towards its left neighbour; node 0 has none.
pub fn left_address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, octet(index - 1), 2)
}

/// The address that node `index` has towards its right neighbour; the last node has none.
pub fn right_address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, octet(index), 1)
}

fn octet(link: usize) -> u8 {
    u8::try_from(link).expect("a chain has far fewer than 200 links")
}

/// The shell script that sets node `index` of `count` up.
fn setup(index: usize, count: usize) -> String {
    let mut script = String::from("ip link set lo up\n");
    let last = count - 1;
    let mut line = |text: String| {
        let _ = writeln!(script, "{text}");
    };
    if index > 0 {
        line(format!("ip addr add {}/24 dev left", left_address(index)));
        line("ip link set left up".to_owned());
    }
    if index < last {
        line(format!("ip addr add {}/24 dev right", right_address(index)));
        line("ip link set right up".to_owned());
        let next = left_address(index + 1);
        line(format!("ip route add {TARGET_PREFIX} via {next}"));
        for link in index + 1..last {
            line(format!("ip route add 10.77.{link}.0/24 via {next}"));
        }
    } else {
        line(format!("ip addr add {TARGET}/32 dev lo"));
    }
    for link in 0..index.saturating_sub(1) {
        let previous = right_address(index - 1);
        line(format!("ip route add 10.77.{link}.0/24 via {previous}"));
    }
    if index > 0 && index < last {
        line("echo 1 >/proc/sys/net/ipv4/ip_forward".to_owned());
    }
    // A connect storm leaves tens of thousands of ports in TIME_WAIT.
    line(format!(
        "echo '{FIRST_EPHEMERAL_PORT} 65535' >/proc/sys/net/ipv4/ip_local_port_range"
    ));
    line("echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse".to_owned());
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_a_link_share_its_prefix() {
        assert_eq!(right_address(0), Ipv4Addr::new(10, 77, 0, 1));
        assert_eq!(left_address(1), Ipv4Addr::new(10, 77, 0, 2));
        assert_eq!(right_address(2), Ipv4Addr::new(10, 77, 2, 1));
        assert_eq!(left_address(3), Ipv4Addr::new(10, 77, 2, 2));
    }

    #[test]
    fn only_transits_forward() {
        let forwards: Vec<bool> = (0..4)
            .map(|index| setup(index, 4).contains("ip_forward"))
            .collect();
        assert_eq!(forwards, [false, true, true, false]);
    }

    #[test]
    fn every_node_reaches_every_link_and_the_target() {
        for count in 2..6 {
            for index in 0..count {
                let script = setup(index, count);
                for link in 0..count - 1 {
                    let own = link == index || link + 1 == index;
                    let routed = script.contains(&format!("ip route add 10.77.{link}.0/24"));
                    assert_eq!(
                        routed, !own,
                        "node {index} of {count}, link {link}:\n{script}"
                    );
                }
                assert!(script.contains("10.77.200."), "node {index} of {count}");
            }
        }
    }
}

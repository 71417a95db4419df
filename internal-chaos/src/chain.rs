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
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::mesh::{Peer, Plan};
use crate::spot::{LINK_PORT, Spot};
use crate::wiring::Wiring;

/// Where target servers listen: an address of the last node's loopback interface.
pub const TARGET: Ipv4Addr = Ipv4Addr::new(10, 77, 200, 1);

/// The prefix that holds [`TARGET`] and that an exit advertises.
const TARGET_PREFIX: &str = "10.77.200.0/24";

/// The longest row: three transits.
const NAMES: [&str; 5] = ["ingress", "transit1", "transit2", "transit3", "exit"];
const WIRES: [(usize, usize); 4] = [(0, 1), (1, 2), (2, 3), (3, 4)];

/// A row of namespaces. Dropping it deletes them and ends what runs inside.
#[derive(Debug)]
pub struct Chain {
    nodes: Vec<Arc<Spot>>,
}

impl Chain {
    /// Builds an ingress, `transits` transits (at most three) and an exit.
    pub fn build(transits: usize) -> anyhow::Result<Self> {
        let mut names = NAMES[..=transits].to_vec();
        names.push("exit");
        let wiring = Wiring {
            network: TARGET.octets()[1],
            names: &names,
            wires: &WIRES[..=transits],
        };
        let namespaces = wiring.build(|node| routes(node, names.len()))?;
        let nodes = namespaces
            .into_iter()
            .map(|it| Ok(Arc::new(Spot::inside(it)?)));
        Ok(Self {
            nodes: nodes.collect::<anyhow::Result<_>>()?,
        })
    }

    /// The namespaces, ingress first.
    pub fn nodes(&self) -> &[Arc<Spot>] {
        &self.nodes
    }

    /// Client and ingress.
    pub fn first(&self) -> &Spot {
        &self.nodes[0]
    }

    /// Exit and targets.
    pub fn last(&self) -> &Spot {
        &self.nodes[self.nodes.len() - 1]
    }

    /// What agents in the row are: each dials its right neighbour.
    pub fn plans(&self) -> Vec<(Plan, Arc<Spot>)> {
        let last = self.nodes.len() - 1;
        let plan = |node: usize| Plan {
            name: if node == last { "exit" } else { NAMES[node] }.to_owned(),
            is_ingress: node == 0,
            prefixes: (node == last).then(|| vec![TARGET_PREFIX.to_owned()]),
            peers: (node < last)
                .then(|| Peer {
                    agent: node + 1,
                    address: SocketAddr::from((left_address(node + 1), LINK_PORT)),
                    cost: 1,
                })
                .into_iter()
                .collect(),
            ..Plan::default()
        };
        let nodes = self.nodes.iter().enumerate();
        nodes
            .map(|(node, spot)| (plan(node), Arc::clone(spot)))
            .collect()
    }
}

/// The address that a node has towards its left neighbour; node 0 has none.
pub fn left_address(node: usize) -> Ipv4Addr {
    let link = u8::try_from(node - 1).expect("a chain has few links");
    Ipv4Addr::new(10, TARGET.octets()[1], link, 2)
}

/// The address that a node has towards its right neighbour; the last one has none.
fn right_address(node: usize) -> Ipv4Addr {
    let link = u8::try_from(node).expect("a chain has few links");
    Ipv4Addr::new(10, TARGET.octets()[1], link, 1)
}

/// What node `node` of `count` needs to reach all others.
fn routes(node: usize, count: usize) -> String {
    let mut script = String::new();
    let last = count - 1;
    if node < last {
        let next = left_address(node + 1);
        let _ = writeln!(script, "ip route add {TARGET_PREFIX} via {next}");
        for link in node + 1..last {
            let _ = writeln!(script, "ip route add 10.77.{link}.0/24 via {next}");
        }
    } else {
        let _ = writeln!(script, "ip addr add {TARGET}/32 dev lo");
    }
    for link in 0..node.saturating_sub(1) {
        let previous = right_address(node - 1);
        let _ = writeln!(script, "ip route add 10.77.{link}.0/24 via {previous}");
    }
    if node > 0 && node < last {
        script.push_str("echo 1 >/proc/sys/net/ipv4/ip_forward\n");
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_transits_forward() {
        let forwards = [0, 1, 2, 3].map(|node| routes(node, 4).contains("ip_forward"));
        assert_eq!(forwards, [false, true, true, false]);
    }

    #[test]
    fn every_node_reaches_every_link_and_the_target() {
        for count in 2..6 {
            for index in 0..count {
                let script = routes(index, count);
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

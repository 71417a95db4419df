//! The ground of the drill: a namespace for every agent and one for the target, each link a veth
//! pair of its own.
//!
//! ```text
//!            ┌── transit-a ──┬── exit-a ──┐
//!  ingress ──┤        ╲ ╱    │            ├── target
//!     │      │        ╱ ╲    │            │
//!     │      └── transit-b ──┴── exit-b ──┘
//!     └───────────── the way around ──────┘
//! ```
//!
//! Both transits are linked to both exits. The ingress has a way around the mesh: its default route
//! leads straight to the target, and everything that takes it is counted (see [`super::leak`]).

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use serde_json::Value;

use crate::mesh::{Peer, Plan, Whole};
use crate::netns::NetnsError;
use crate::process::find;
use crate::spot::{LINK_PORT, Spot};
use crate::wiring::{MTU, Wiring};

/// Where the target servers listen, on the target's loopback.
pub const TARGET: Ipv4Addr = Ipv4Addr::new(10, 78, 200, 1);

/// The prefix that both exits advertise.
const TARGET_PREFIX: &str = "10.78.200.0/24";

/// The interface that leads from the ingress around the mesh.
pub const AROUND: &str = "target";

/// An agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    Ingress,
    TransitA,
    TransitB,
    ExitA,
    ExitB,
}

/// Every link, with the dialled agent second. Both ends dial, so that whichever of them was
/// restarted links at once.
pub const LINKS: [(Node, Node); 6] = [
    (Node::Ingress, Node::TransitA),
    (Node::Ingress, Node::TransitB),
    (Node::TransitA, Node::ExitA),
    (Node::TransitA, Node::ExitB),
    (Node::TransitB, Node::ExitA),
    (Node::TransitB, Node::ExitB),
];

/// The target's place behind all agents.
const AT_TARGET: usize = 5;

/// The links, and the wires that lead to the target.
const WIRING: Wiring<'_> = Wiring {
    network: 78,
    names: &[
        "ingress",
        "transit-a",
        "transit-b",
        "exit-a",
        "exit-b",
        "target",
    ],
    wires: &[
        (0, 1),
        (0, 2),
        (1, 3),
        (1, 4),
        (2, 3),
        (2, 4),
        (3, AT_TARGET),
        (4, AT_TARGET),
        (0, AT_TARGET),
    ],
};

/// When the mesh has formed: every link measured, two ways to both exits.
pub const WHOLE: Whole = Whole {
    links: LINKS.len(),
    mtu: Some(MTU - 20 - 8),
    exits: 2,
    doubled: true,
};

impl Node {
    pub const ALL: [Self; 5] = [
        Self::Ingress,
        Self::TransitA,
        Self::TransitB,
        Self::ExitA,
        Self::ExitB,
    ];

    /// Also the name of the interfaces that lead to it.
    pub fn name(self) -> &'static str {
        WIRING.names[self as usize]
    }

    pub fn is_exit(self) -> bool {
        matches!(self, Self::ExitA | Self::ExitB)
    }

    /// The agents that it is linked to.
    fn neighbors(self) -> impl Iterator<Item = Self> {
        LINKS.into_iter().filter_map(move |link| match link {
            (one, other) if one == self => Some(other),
            (other, one) if one == self => Some(other),
            _ => None,
        })
    }

    fn plan(self) -> Plan {
        let peer = |neighbor: Self| {
            let address = WIRING.address(neighbor as usize, self as usize);
            Peer {
                agent: neighbor as usize,
                address: SocketAddr::from((address, LINK_PORT)),
                cost: 1,
            }
        };
        Plan {
            name: self.name().to_owned(),
            is_ingress: self == Self::Ingress,
            prefixes: self.is_exit().then(|| vec![TARGET_PREFIX.to_owned()]),
            peers: self.neighbors().map(peer).collect(),
            ..Plan::default()
        }
    }
}

/// The namespaces. Dropping them deletes them and ends what runs inside.
#[derive(Debug)]
pub struct Site {
    nft: PathBuf,
    agents: Vec<Arc<Spot>>,
    target: Spot,
}

impl Site {
    /// Builds it. No agent runs yet.
    pub fn build() -> anyhow::Result<Self> {
        let nft = find("nft").ok_or_else(|| NetnsError::Missing {
            command: "nft",
            package: "nftables",
            source: io::ErrorKind::NotFound.into(),
        })?;
        let mut namespaces = WIRING.build(ways_out)?;
        let target = namespaces.pop().context("the target is the last one")?;
        let agents = namespaces
            .into_iter()
            .map(|it| Ok(Arc::new(Spot::inside(it)?)));
        Ok(Self {
            nft,
            agents: agents.collect::<anyhow::Result<_>>()?,
            target: Spot::inside(target)?,
        })
    }

    /// What the agents are, and where.
    pub fn plans(&self) -> Vec<(Plan, Arc<Spot>)> {
        let spots = self.agents.iter().map(Arc::clone);
        Node::ALL.into_iter().map(Node::plan).zip(spots).collect()
    }

    /// Where an agent stands.
    pub fn spot(&self, node: Node) -> &Spot {
        &self.agents[node as usize]
    }

    /// Where the target servers run.
    pub fn target(&self) -> &Spot {
        &self.target
    }

    /// Applies a ruleset in an agent's namespace, all of it or nothing.
    pub fn nft(&self, node: Node, rules: &str) -> anyhow::Result<()> {
        let script = format!("{} -f - <<'RULES'\n{rules}\nRULES", self.nft.display());
        self.spot(node).script(&script).map(drop)
    }

    /// Packets that each named counter of a table counted since the last call.
    pub fn take_counters(&self, node: Node, table: &str) -> anyhow::Result<BTreeMap<String, u64>> {
        let nft = self.nft.display();
        let script = format!("{nft} -j reset counters table inet {table}");
        let text = self.spot(node).script(&script)?;
        counters(&text).with_context(|| format!("nft answered: {text}"))
    }
}

fn counters(text: &str) -> Option<BTreeMap<String, u64>> {
    let answer: Value = serde_json::from_str(text).ok()?;
    let entries = answer["nftables"].as_array()?.iter();
    let counters = entries.filter_map(|entry| {
        let counter = &entry["counter"];
        Some((
            counter["name"].as_str()?.to_owned(),
            counter["packets"].as_u64()?,
        ))
    });
    Some(counters.collect())
}

/// The way to the target, for those who have one past the mesh; the target's own address.
fn ways_out(node: usize) -> String {
    let prefix = match node {
        0 => "default",
        3 | 4 => TARGET_PREFIX,
        AT_TARGET => return format!("ip addr add {TARGET}/32 dev lo\n"),
        _ => return String::new(),
    };
    let target = WIRING.address(AT_TARGET, node);
    format!("ip route add {prefix} via {target}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ways_to_each_exit_share_no_link() {
        for exit in [Node::ExitA, Node::ExitB] {
            let transits: Vec<Node> = exit.neighbors().collect();
            assert_eq!(transits, [Node::TransitA, Node::TransitB]);
        }
        assert_eq!(
            Node::Ingress.neighbors().collect::<Vec<_>>(),
            [Node::TransitA, Node::TransitB]
        );
    }

    #[test]
    fn links_are_the_first_wires() {
        let links = LINKS.map(|(one, other)| (one as usize, other as usize));
        assert_eq!(WIRING.wires[..links.len()], links);
        assert_eq!(WIRING.names.len(), AT_TARGET + 1);
    }

    #[test]
    fn counters_are_read_by_name() {
        let text = r#"{"nftables": [{"metainfo": {"json_schema_version": 1}},
            {"counter": {"family": "inet", "name": "tcp", "packets": 3, "bytes": 180}},
            {"counter": {"family": "inet", "name": "around", "packets": 0, "bytes": 0}}]}"#;
        let expected = BTreeMap::from([("around".to_owned(), 0), ("tcp".to_owned(), 3)]);
        assert_eq!(counters(text), Some(expected));
        assert_eq!(counters("Error: no such table"), None);
    }

    #[test]
    fn only_the_ingress_has_a_way_around() {
        for node in Node::ALL {
            let script = ways_out(node as usize);
            assert_eq!(script.contains("default"), node == Node::Ingress);
            assert_eq!(
                script.contains(TARGET_PREFIX),
                node.is_exit(),
                "{}",
                node.name()
            );
        }
    }
}

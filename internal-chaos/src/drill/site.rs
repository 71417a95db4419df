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
use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;

use crate::chain::MTU;
use crate::host::Host;
use crate::netns::{Netns, NetnsError};
use crate::process::find;

/// Where the target servers listen, on the target's loopback.
pub const TARGET: Ipv4Addr = Ipv4Addr::new(10, 78, 200, 1);

/// The prefix that both exits advertise.
pub const TARGET_PREFIX: &str = "10.78.200.0/24";

/// The interface that leads from the ingress around the mesh.
pub const AROUND: &str = "around";

/// Largest UDP payload of a link.
pub const LINK_MTU: u32 = MTU - 20 - 8;

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

/// Subnets of the wires that are no links.
const EXIT_A_TARGET: u8 = 101;
const EXIT_B_TARGET: u8 = 102;
const INGRESS_TARGET: u8 = 103;

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
        match self {
            Self::Ingress => "ingress",
            Self::TransitA => "transit-a",
            Self::TransitB => "transit-b",
            Self::ExitA => "exit-a",
            Self::ExitB => "exit-b",
        }
    }

    pub fn is_exit(self) -> bool {
        matches!(self, Self::ExitA | Self::ExitB)
    }

    /// The agents that it is linked to.
    pub fn neighbors(self) -> impl Iterator<Item = Self> {
        LINKS.into_iter().filter_map(move |link| match link {
            (one, other) if one == self => Some(other),
            (other, one) if one == self => Some(other),
            _ => None,
        })
    }

    /// Its address on the link to `neighbor`.
    pub fn address_towards(self, neighbor: Self) -> Ipv4Addr {
        let at = |link: &(Self, Self)| *link == (self, neighbor) || *link == (neighbor, self);
        let subnet = LINKS.iter().position(at);
        let subnet = subnet.expect("only linked agents have addresses for each other");
        let subnet = u8::try_from(subnet).expect("there are six links");
        wire(subnet, LINKS[usize::from(subnet)].0 == self)
    }
}

/// The address of one end of a wire.
fn wire(subnet: u8, first: bool) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, subnet, if first { 1 } else { 2 })
}

/// The namespaces. Dropping them deletes them and ends what runs inside.
#[derive(Debug)]
pub struct Site {
    nft: PathBuf,
    // Before the namespaces: a thread holds the one that it lives in.
    hosts: BTreeMap<Node, Host>,
    agents: BTreeMap<Node, Netns>,
    target: Netns,
}

impl Site {
    /// Builds it. No agent runs yet.
    pub fn build() -> anyhow::Result<Self> {
        let nft = find("nft").ok_or_else(|| NetnsError::Missing {
            command: "nft",
            package: "nftables",
            source: io::ErrorKind::NotFound.into(),
        })?;
        let target = Netns::create("target")?;
        let mut agents = BTreeMap::new();
        for node in Node::ALL {
            agents.insert(node, Netns::create(node.name())?);
        }
        for (one, other) in LINKS {
            agents[&one].join(other.name(), &agents[&other], one.name(), MTU)?;
        }
        for exit in [Node::ExitA, Node::ExitB] {
            agents[&exit].join("target", &target, exit.name(), MTU)?;
        }
        agents[&Node::Ingress].join(AROUND, &target, "ingress", MTU)?;
        target.script(&target_setup())?;
        let mut hosts = BTreeMap::new();
        for (&node, namespace) in &agents {
            namespace.script(&setup(node))?;
            hosts.insert(node, Host::start(namespace)?);
        }
        Ok(Self {
            nft,
            hosts,
            agents,
            target,
        })
    }

    /// Where an agent runs.
    pub fn namespace(&self, node: Node) -> &Netns {
        &self.agents[&node]
    }

    /// A thread beside an agent, to ask it.
    pub fn host(&self, node: Node) -> &Host {
        &self.hosts[&node]
    }

    /// Where the target servers run.
    pub fn target(&self) -> &Netns {
        &self.target
    }

    /// Applies a ruleset in an agent's namespace, all of it or nothing.
    pub fn nft(&self, node: Node, rules: &str) -> Result<(), NetnsError> {
        let script = format!("{} -f - <<'RULES'\n{rules}\nRULES", self.nft.display());
        self.namespace(node).script(&script).map(drop)
    }

    /// Packets that each named counter of a table counted since the last call.
    pub fn take_counters(&self, node: Node, table: &str) -> anyhow::Result<BTreeMap<String, u64>> {
        let nft = self.nft.display();
        let script = format!("{nft} -j reset counters table inet {table}");
        let text = self.namespace(node).script(&script)?;
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

const COMMON: &str = "ip link set lo up\n\
    if [ -e /proc/sys/net/ipv6 ]; then echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; fi\n\
    echo '10240 65535' >/proc/sys/net/ipv4/ip_local_port_range\n\
    echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse\n";

fn interface(script: &mut String, name: &str, address: Ipv4Addr) {
    let _ = writeln!(script, "ip addr add {address}/24 dev {name}");
    let _ = writeln!(script, "ip link set {name} up");
}

fn setup(node: Node) -> String {
    let mut script = COMMON.to_owned();
    for neighbor in node.neighbors() {
        interface(&mut script, neighbor.name(), node.address_towards(neighbor));
    }
    let way_out = match node {
        Node::Ingress => Some((AROUND, INGRESS_TARGET, "default")),
        Node::ExitA => Some(("target", EXIT_A_TARGET, TARGET_PREFIX)),
        Node::ExitB => Some(("target", EXIT_B_TARGET, TARGET_PREFIX)),
        Node::TransitA | Node::TransitB => None,
    };
    if let Some((name, subnet, prefix)) = way_out {
        interface(&mut script, name, wire(subnet, true));
        let _ = writeln!(script, "ip route add {prefix} via {}", wire(subnet, false));
    }
    script
}

fn target_setup() -> String {
    let mut script = COMMON.to_owned();
    for (name, subnet) in [
        ("exit-a", EXIT_A_TARGET),
        ("exit-b", EXIT_B_TARGET),
        ("ingress", INGRESS_TARGET),
    ] {
        interface(&mut script, name, wire(subnet, false));
    }
    let _ = writeln!(script, "ip addr add {TARGET}/32 dev lo");
    script
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
    fn ends_of_a_link_share_a_subnet_of_their_own() {
        let mut seen = std::collections::BTreeSet::new();
        for (one, other) in LINKS {
            let (left, right) = (one.address_towards(other), other.address_towards(one));
            assert_eq!(left.octets()[..3], right.octets()[..3]);
            assert_ne!(left, right);
            assert!(seen.insert(left) && seen.insert(right));
        }
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
            let script = setup(node);
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

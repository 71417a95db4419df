//! The ground: senders in namespaces of their own, and one line to the exit that everybody passes.
//!
//! ```text
//!  first  ──┐
//!  second ──┼── near ══ the line ══ exit, target (on its loopback)
//!  kernel ──┘
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::contest::Sender;
use crate::condition::Condition;
use crate::host::Host;
use crate::mesh::{Peer, Plan, Settings};
use crate::relay::bottleneck::{Bottleneck, DEVICE};
use crate::spot::{LINK_PORT, Spot};
use crate::wiring::{MTU, Wiring};

/// Where the target listens.
pub(super) const TARGET: Ipv4Addr = Ipv4Addr::new(10, 79, 200, 1);

const TARGET_PREFIX: &str = "10.79.200.0/24";

/// The ends of the line.
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 79, 100, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 79, 100, 2);

/// Places in [`WIRING`].
const KERNEL: usize = 2;
const AT_NEAR: usize = 3;
const AT_EXIT: usize = 4;

const WIRING: Wiring<'_> = Wiring {
    network: 79,
    names: &["first", "second", "kernel", "near", "exit"],
    wires: &[(0, AT_NEAR), (1, AT_NEAR), (KERNEL, AT_NEAR)],
};

/// The namespaces. Dropping them deletes them and ends what runs inside.
#[derive(Debug)]
pub(super) struct Ground {
    spots: Vec<Arc<Spot>>,
    near: Host,
    far: Host,
}

impl Ground {
    pub(super) fn build() -> anyhow::Result<Self> {
        let namespaces = WIRING.build(setup)?.into_iter();
        let spots = namespaces.map(|it| Ok(Arc::new(Spot::inside(it)?)));
        let spots: Vec<Arc<Spot>> = spots.collect::<anyhow::Result<_>>()?;
        Ok(Self {
            near: spots[AT_NEAR].host("near")?,
            far: spots[AT_EXIT].host("far")?,
            spots,
        })
    }

    /// Lays the line.
    pub(super) async fn lay(&self, condition: &Condition, seed: u64) -> anyhow::Result<Bottleneck> {
        let ends = (&self.near, &self.far);
        let line = Bottleneck::lay(ends, condition, seed).await?;
        for (spot, own, other) in [(AT_NEAR, NEAR, FAR), (AT_EXIT, FAR, NEAR)] {
            self.spots[spot].script(&format!(
                "ip addr add {own} peer {other} dev {DEVICE}\n\
                 ip link set {DEVICE} mtu {MTU} up\n\
                 ip route add default via {other}\n"
            ))?;
        }
        Ok(line)
    }

    /// The agents that these senders need, the exit last.
    pub(super) fn plans(&self, senders: &[Sender]) -> Vec<(Plan, Arc<Spot>)> {
        let sessions = senders.iter().filter(|sender| sender.is_session());
        let count = sessions.clone().count();
        let ingress = |(number, sender): (usize, &Sender)| {
            let plan = Plan {
                name: WIRING.names[number].to_owned(),
                is_ingress: true,
                peers: vec![Peer {
                    agent: count,
                    address: SocketAddr::from((FAR, LINK_PORT)),
                    cost: 1,
                }],
                settings: congestion(*sender),
                ..Plan::default()
            };
            (plan, Arc::clone(&self.spots[number]))
        };
        let mut plans: Vec<_> = sessions.enumerate().map(ingress).collect();
        let exit = Plan {
            name: "exit".to_owned(),
            prefixes: Some(vec![TARGET_PREFIX.to_owned()]),
            ..Plan::default()
        };
        plans.push((exit, Arc::clone(&self.spots[AT_EXIT])));
        plans
    }

    /// Where the session of this number begins.
    pub(super) fn session(&self, number: usize) -> &Spot {
        &self.spots[number]
    }

    /// Where the kernel's own connections begin.
    pub(super) fn kernel(&self) -> &Spot {
        &self.spots[KERNEL]
    }

    /// Where the target is.
    pub(super) fn target(&self) -> &Spot {
        &self.spots[AT_EXIT]
    }
}

fn congestion(sender: Sender) -> Settings {
    let section = Settings::from_iter([("congestion".to_owned(), sender.name().into())]);
    Settings::from_iter([("connections".to_owned(), section.into())])
}

/// What each namespace needs besides its wires, with the line not laid yet.
fn setup(node: usize) -> String {
    match node {
        AT_EXIT => format!("ip addr add {TARGET}/32 dev lo\n"),
        AT_NEAR => "echo 1 >/proc/sys/net/ipv4/ip_forward\n".to_owned(),
        _ => format!(
            "ip route add default via {}\n",
            WIRING.address(AT_NEAR, node)
        ),
    }
}

//! Leaks: what leaves the ingress's machine without going through the mesh. The machine has a way
//! around it that works, so nothing but the ingress itself keeps traffic inside.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use super::site::{AROUND, Node, Site};
use crate::workload::echo::ping;

const TABLE: &str = "leak";

/// Counts on the ingress's way out. TCP to a neighbour would be a leak, too: links are UDP.
const RULES: &str = "table inet TABLE {
  counter around { }
  counter names { }
  counter dials { }
  chain out {
    type filter hook output priority 0; policy accept;
    oifname \"WAY\" counter name around
    meta l4proto { tcp, udp } th dport 53 counter name names
    oifname != \"lo\" meta l4proto tcp counter name dials
  }
}";

/// Packets that left the ingress's machine past the mesh; one may count in several places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaks {
    /// By the way around the mesh: to the target, or to anywhere else.
    pub around: u64,
    /// Questions to name servers, by any way.
    pub names: u64,
    /// TCP to any other machine.
    pub dials: u64,
}

impl Leaks {
    pub fn total(self) -> u64 {
        self.around + self.names + self.dials
    }
}

/// Starts to count, and proves that a leak would be seen: a deliberate connection past the mesh to
/// the `echo` server must succeed and be counted.
pub async fn watch(site: &Site, echo: SocketAddr) -> anyhow::Result<()> {
    let rules = RULES.replace("TABLE", TABLE).replace("WAY", AROUND);
    site.nft(Node::Ingress, &rules)?;
    let around = site.spot(Node::Ingress).beside().spawn(async move {
        let mut stream = TcpStream::connect(echo).await?;
        ping(&mut stream, b'l').await
    });
    around
        .await?
        .context("the way around the mesh does not work, so a leak would not show")?;
    let counted = take(site)?;
    ensure!(
        counted.around > 0 && counted.dials > 0,
        "a connection past the mesh was not counted: {counted:?}"
    );
    Ok(())
}

/// What was counted since the last call.
pub fn take(site: &Site) -> anyhow::Result<Leaks> {
    let counted = site.take_counters(Node::Ingress, TABLE)?;
    let packets = |name: &str| {
        let packets = counted.get(name).copied();
        packets.with_context(|| format!("no counter `{name}`: {counted:?}"))
    };
    Ok(Leaks {
        around: packets("around")?,
        names: packets("names")?,
        dials: packets("dials")?,
    })
}

//! The faults: what is broken, how, and how it is mended.

use std::fmt;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::site::{Node, Site};
use crate::fault::Stopped;
use crate::mesh::Agents;

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL of the transit in use.
    TransitKill,
    /// SIGSTOP of the transit in use.
    TransitFreeze,
    /// The link between the ingress and the transit in use loses every packet, both ways.
    LinkCut,
    /// That link loses what the transit sends to the ingress.
    CutToIngress,
    /// That link loses what the ingress sends to the transit.
    CutToTransit,
    /// The transit in use keeps its links, and loses all data that it should forward.
    GreyTransit,
    /// SIGKILL of the exit in use.
    ExitKill,
    /// SIGTERM of the transit in use.
    TransitTerm,
}

/// What may be expected when it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nobody says anything: the mesh must notice. Open connections live on.
    Silent,
    /// The agent says goodbye. Open connections live on.
    Announced,
    /// The end of the connections dies: open ones break, new ones must succeed.
    Exit,
}

/// A fault that has struck, with who was struck.
#[derive(Debug)]
pub struct Struck {
    fault: Fault,
    victim: Node,
    /// Goes on when it is dropped.
    stopped: Option<Stopped>,
}

/// The table of the rules that lose packets, in the namespace of whoever should receive them: the
/// sender sees no error.
const TABLE: &str = "drill";

/// Before connection tracking and everything else.
const RULES: &str = "table inet drill {
  counter lost { }
  chain cut {
    type filter hook prerouting priority raw; policy accept;
  }
}";

/// Warren's own packets, unlike QUIC's, have bit 0x40 of the first byte clear
/// (`docs/wire-format.md`); a UDP header has 64 bits.
const FORWARDED_DATA: &str = "meta l4proto udp @th,64,8 & 0x40 == 0x0";

impl Fault {
    /// Those of the published table. Of the one-way cuts it is the one that leaves the ingress
    /// without any answer.
    pub const STANDARD: [Self; 7] = [
        Self::TransitKill,
        Self::TransitFreeze,
        Self::LinkCut,
        Self::CutToIngress,
        Self::GreyTransit,
        Self::ExitKill,
        Self::TransitTerm,
    ];

    pub fn class(self) -> Class {
        match self {
            Self::TransitKill
            | Self::TransitFreeze
            | Self::LinkCut
            | Self::CutToIngress
            | Self::CutToTransit
            | Self::GreyTransit => Class::Silent,
            Self::TransitTerm => Class::Announced,
            Self::ExitKill => Class::Exit,
        }
    }

    /// Who is struck, when the connections take `path`: transit, exit.
    pub fn victim(self, path: &[Node]) -> Option<Node> {
        match self.class() {
            Class::Exit => path.last(),
            Class::Silent | Class::Announced => path.first(),
        }
        .copied()
    }

    /// The agents whose receiving side loses packets, with the rule that matches them.
    fn cuts(self, victim: Node) -> Vec<(Node, String)> {
        let from = |node: Node| format!("iifname \"{}\"", node.name());
        let inbound = (Node::Ingress, from(victim));
        let outbound = (victim, from(Node::Ingress));
        match self {
            Self::LinkCut => vec![inbound, outbound],
            Self::CutToIngress => vec![inbound],
            Self::CutToTransit => vec![outbound],
            Self::GreyTransit => vec![(victim, FORWARDED_DATA.to_owned())],
            Self::TransitKill | Self::TransitFreeze | Self::ExitKill | Self::TransitTerm => {
                Vec::new()
            }
        }
    }

    /// Breaks it.
    pub fn strike(self, site: &Site, agents: &Agents, victim: Node) -> anyhow::Result<Struck> {
        let process = agents.victim(victim as usize)?;
        let mut stopped = None;
        match self {
            Self::TransitKill | Self::ExitKill => process.kill()?,
            Self::TransitFreeze => stopped = Some(process.stop()?),
            Self::TransitTerm => process.terminate()?,
            Self::LinkCut | Self::CutToIngress | Self::CutToTransit | Self::GreyTransit => {
                for (node, packets) in self.cuts(victim) {
                    let rule =
                        format!("add rule inet {TABLE} cut {packets} counter name lost drop");
                    site.nft(node, &rule)?;
                }
            }
        }
        Ok(Struck {
            fault: self,
            victim,
            stopped,
        })
    }
}

/// Makes a site ready for faults that lose packets.
pub fn prepare(site: &Site) -> anyhow::Result<()> {
    for node in Node::ALL {
        site.nft(node, RULES)?;
    }
    Ok(())
}

impl Struck {
    /// Undoes it. A cut that lost no packet was none, and is an error.
    pub async fn mend(self, site: &Site, agents: &mut Agents) -> anyhow::Result<()> {
        match self.fault {
            Fault::TransitKill | Fault::ExitKill | Fault::TransitTerm => {
                agents.start_again(self.victim as usize).await
            }
            Fault::TransitFreeze => {
                drop(self.stopped);
                Ok(())
            }
            Fault::LinkCut | Fault::CutToIngress | Fault::CutToTransit | Fault::GreyTransit => {
                for (node, _) in self.fault.cuts(self.victim) {
                    site.nft(node, &format!("flush chain inet {TABLE} cut"))?;
                    let lost = site.take_counters(node, TABLE)?.remove("lost");
                    let lost = lost.context("the counter of lost packets is gone")?;
                    ensure!(lost > 0, "{} lost no packet at {}", self.fault, node.name());
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("none is left out");
        f.write_str(value.get_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for &fault in Fault::value_variants() {
            assert_eq!(Fault::from_str(&fault.to_string(), false), Ok(fault));
            assert_eq!(serde_json::json!(fault), fault.to_string());
        }
        assert!(Fault::from_str("earthquake", false).is_err());
    }

    #[test]
    fn the_first_hop_or_the_exit_is_struck() {
        let path = [Node::TransitB, Node::ExitA];
        assert_eq!(Fault::LinkCut.victim(&path), Some(Node::TransitB));
        assert_eq!(Fault::TransitTerm.victim(&path), Some(Node::TransitB));
        assert_eq!(Fault::ExitKill.victim(&path), Some(Node::ExitA));
        assert_eq!(Fault::ExitKill.victim(&[]), None);
    }

    #[test]
    fn packets_are_lost_where_they_arrive() {
        let at = |fault: Fault| -> Vec<Node> {
            let cuts = fault.cuts(Node::TransitA);
            cuts.into_iter().map(|(node, _)| node).collect()
        };
        assert_eq!(at(Fault::LinkCut), [Node::Ingress, Node::TransitA]);
        assert_eq!(at(Fault::CutToIngress), [Node::Ingress]);
        assert_eq!(at(Fault::CutToTransit), [Node::TransitA]);
        assert_eq!(at(Fault::GreyTransit), [Node::TransitA]);
        assert_eq!(at(Fault::TransitKill), []);
        let cut = &Fault::CutToIngress.cuts(Node::TransitA)[0].1;
        assert_eq!(cut, "iifname \"transit-a\"");
    }
}

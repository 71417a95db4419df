//! The links: a relay for each direction of dialling, because either end may dial. What a fault
//! does to a link is done to both relays, of which one carries the link.

use std::net::SocketAddr;

use anyhow::Context;

use super::model::{AgentId, LinkId, Scenario, Section};
use crate::condition::Condition;
use crate::packet::{Direction, Ways};
use crate::relay::{Options, Relay, RuleGuard};
use crate::rules::Rule;

/// Where a fault stands in [`Scenario::faults`].
pub(super) type FaultId = usize;

/// All links of a mesh. Dropping them ends their relays.
#[derive(Debug)]
pub(super) struct Wires {
    wires: Vec<Wire>,
}

#[derive(Debug)]
struct Wire {
    ends: (AgentId, AgentId),
    condition: Condition,
    /// The first agent dials the second one through this.
    there: Relay,
    /// The second one dials the first one.
    back: Relay,
    /// In force, the latest last.
    figures: Vec<(FaultId, Ways, Condition)>,
    rules: Vec<(FaultId, Ways, [RuleGuard; 2])>,
}

impl Wires {
    /// Starts the relays of all links; `listens` is where each agent does.
    pub(super) fn start(
        scenario: &Scenario,
        listens: &[SocketAddr],
        seed: u64,
    ) -> anyhow::Result<Self> {
        let mut wires = Vec::new();
        for (link, number) in scenario.links.iter().zip(0_u64..) {
            let relay = |server: AgentId, seed| {
                let options = Options {
                    seed,
                    ..Options::to(listens[server])
                };
                Relay::start(&options).context("a link cannot begin")
            };
            let wire = Wire {
                ends: (link.one, link.other),
                condition: link.condition,
                there: relay(link.other, seed.wrapping_add(2 * number))?,
                back: relay(link.one, seed.wrapping_add(2 * number + 1))?,
                figures: Vec::new(),
                rules: Vec::new(),
            };
            wire.apply();
            wires.push(wire);
        }
        Ok(Self { wires })
    }

    /// Where an end of a link dials the other one.
    pub(super) fn address(&self, link: LinkId, dialler: AgentId) -> SocketAddr {
        let wire = &self.wires[link];
        if wire.ends.0 == dialler {
            wire.there.address()
        } else {
            wire.back.address()
        }
    }

    /// Changes figures until [`lift`](Self::lift).
    pub(super) fn impose(&mut self, fault: FaultId, sections: &[Section], figures: Condition) {
        for section in sections {
            let wire = &mut self.wires[section.link];
            wire.figures.push((fault, section.ways, figures));
            wire.apply();
        }
    }

    /// Adds a rule until [`lift`](Self::lift).
    pub(super) fn add_rule(&mut self, fault: FaultId, sections: &[Section], rule: &Rule) {
        for section in sections {
            let wire = &mut self.wires[section.link];
            let towards = |ways| {
                let mut rule = rule.clone();
                rule.matcher.direction = ways;
                rule
            };
            let guards = [
                wire.there.rule(towards(section.ways)),
                wire.back.rule(towards(turned(section.ways))),
            ];
            wire.rules.push((fault, section.ways, guards));
        }
    }

    /// Undoes what a fault did. Returns how many packets its rules decided.
    pub(super) fn lift(&mut self, fault: FaultId) -> u64 {
        let mut decided = 0;
        for wire in &mut self.wires {
            let of_fault = wire.rules.extract_if(.., |(by, ..)| *by == fault);
            decided += of_fault
                .flat_map(|(_, _, guards)| guards)
                .map(|guard| guard.decided())
                .sum::<u64>();
            wire.figures.retain(|(by, ..)| *by != fault);
            wire.apply();
        }
        decided
    }

    /// Undoes all that faults did to these links.
    pub(super) fn heal(&mut self, sections: &[Section]) {
        for section in sections {
            let wire = &mut self.wires[section.link];
            let healed = |ways: Ways| section.ways == Ways::Both || section.ways == ways;
            wire.figures.retain(|(_, ways, _)| !healed(*ways));
            wire.rules.retain(|(_, ways, _)| !healed(*ways));
            wire.apply();
        }
    }

    /// Changes the outward ports.
    pub(super) fn rebind(&self, sections: &[Section]) -> anyhow::Result<()> {
        for section in sections {
            let wire = &self.wires[section.link];
            wire.there.rebind().context("cannot change a port")?;
            wire.back.rebind().context("cannot change a port")?;
        }
        Ok(())
    }
}

impl Wire {
    /// Gives each direction the figures of the latest fault, or those that it began with.
    fn apply(&self) {
        for direction in Direction::ALL {
            let mut covering = self.figures.iter().rev();
            let latest = covering.find(|(_, ways, _)| ways.covers(direction));
            let figures = match latest {
                Some((.., figures)) => figures.towards(direction),
                None => self.condition.towards(direction),
            };
            let ways = Ways::from(direction);
            if self.there.impairment(direction) != figures {
                self.there.set(ways, figures);
                self.back.set(turned(ways), figures);
            }
        }
    }
}

/// As seen by the one who dials the other way.
fn turned(ways: Ways) -> Ways {
    match ways {
        Ways::ToServer => Ways::ToClient,
        Ways::ToClient => Ways::ToServer,
        Ways::Both => Ways::Both,
    }
}

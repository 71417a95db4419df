//! The scenarios that come with the program, in the order in which they are listed. Those of
//! [`ladder`] follow.

use super::file::{self, BadScenario};
use super::ladder::{self, Length};
use super::model::Scenario;

macro_rules! scenario {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../scenarios/", $name, ".yaml")),
        )
    };
}

/// Name and text of each.
pub const ALL: &[(&str, &str)] = &[
    scenario!("transit-kill"),
    scenario!("transit-stop"),
    scenario!("transit-sigterm"),
    scenario!("transit-returns"),
    scenario!("link-cut"),
    scenario!("link-cut-beyond"),
    scenario!("one-way-cut"),
    scenario!("one-way-cut-out"),
    scenario!("grey-transit"),
    scenario!("flapping-link"),
    scenario!("held-link"),
    scenario!("all-transits-die"),
    scenario!("ingress-alone"),
    scenario!("exit-lost-briefly"),
    scenario!("exit-lost"),
    scenario!("partition"),
    scenario!("exit-kill"),
    scenario!("exit-sigterm"),
    scenario!("only-exit-kill"),
    scenario!("exit-restart"),
    scenario!("exit-health"),
    scenario!("exit-unhealthy"),
    scenario!("ingress-restart"),
    scenario!("ingress-kill"),
    scenario!("target-down"),
    scenario!("resolver-silent"),
    scenario!("ca-lost"),
    scenario!("certificate-expires"),
    scenario!("nat-port-change"),
    scenario!("duplicates-reordering"),
    scenario!("damaged-packets"),
    scenario!("burst-loss"),
    scenario!("lossy-wan"),
    scenario!("ingress-pause"),
    scenario!("transits-pause"),
    scenario!("busy-transit"),
    scenario!("clock-step"),
    scenario!("disk-full"),
    scenario!("descriptors-exhausted"),
    scenario!("narrow-neighbour"),
    scenario!("slow-reader"),
    scenario!("storm"),
    scenario!("rolling-restart"),
    scenario!("balanced-kill"),
    scenario!("balanced-restart"),
    scenario!("all-loads"),
];

/// The scenario with this name; `None` if there is none. The length is that of the ladder's.
pub fn find(name: &str, length: Length) -> Option<Scenario> {
    match ALL.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => Some(parse(name, text).expect("a test reads all of them")),
        None => ladder::find(name, length),
    }
}

/// All of them.
pub fn all(length: Length) -> impl Iterator<Item = Scenario> {
    let written = ALL.iter().filter_map(move |(name, _)| find(name, length));
    written.chain(ladder::all(length))
}

fn parse(name: &str, text: &str) -> Result<Scenario, BadScenario> {
    file::parse(name, &format!("{name}.yaml"), text)
}

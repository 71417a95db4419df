//! Faults: from what stands in a file to what can be done.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::model::{AgentId, Fault, Link, LinkId, Scenario, Section, What, defaults};
use super::named::agent;
use super::raw::{RawDeed, RawFault};
use super::text::Place;
use crate::condition::{self, Condition};
use crate::fault::Step;
use crate::packet::{Plane, Ways};
use crate::rules::{Matcher, Rule, Verdict};

/// A fault, or what is wrong with it.
pub(super) fn fault(scenario: &Scenario, raw: RawFault) -> Result<Fault, String> {
    let at = raw.at.into_inner();
    let lasts = raw.lasts.map(humantime_serde::Serde::into_inner);
    if at + lasts.unwrap_or_default() + scenario.jitter > scenario.duration {
        return Err(format!(
            "it must begin and end, {:?} of jitter included, within the {:?} of the scenario",
            scenario.jitter, scenario.duration
        ));
    }
    let momentary = matches!(
        raw.deed,
        RawDeed::Continue
            | RawDeed::Restart
            | RawDeed::Roll
            | RawDeed::Heal
            | RawDeed::Rebind
            | RawDeed::LoseCa
    );
    if momentary && lasts.is_some() {
        return Err("it happens at once; remove `for`".to_owned());
    }
    if matches!(raw.deed, RawDeed::Hog) && lasts.is_none() {
        return Err("say for how long: `for: 2s`".to_owned());
    }
    superfluous(&raw)?;
    Ok(Fault {
        at,
        lasts,
        text: text(&raw, lasts),
        what: what(scenario, &raw)?,
    })
}

/// A key that this fault does not use would be a fault that is not what it seems.
fn superfluous(raw: &RawFault) -> Result<(), String> {
    let keys = [
        ("condition", raw.condition.is_some(), RawDeed::Condition),
        ("figures", raw.figures.is_some(), RawDeed::Condition),
        ("rule", raw.rule.is_some(), RawDeed::Rule),
        ("spare", raw.spare.is_some(), RawDeed::ExhaustFds),
        ("by", raw.by.is_some(), RawDeed::StepClock),
        ("rivals", raw.rivals.is_some(), RawDeed::Hog),
    ];
    let wrong = keys
        .into_iter()
        .find(|(_, set, deed)| *set && *deed != raw.deed);
    match wrong {
        Some((key, ..)) => Err(format!("`{key}` means nothing to this fault; remove it")),
        None => Ok(()),
    }
}

fn what(scenario: &Scenario, raw: &RawFault) -> Result<What, String> {
    let one = || one_agent(scenario, raw);
    let sections = || sections(scenario, raw);
    Ok(match raw.deed {
        RawDeed::Kill => What::Kill(one()?),
        RawDeed::Sigterm => What::Terminate(one()?),
        RawDeed::Stop => What::Stop(one()?),
        RawDeed::Continue => What::Continue(one()?),
        RawDeed::Restart => What::Restart(one()?),
        RawDeed::Roll => What::Roll(in_turn(scenario, raw)?),
        RawDeed::Condition => What::Figures(sections()?, Box::new(figures(raw)?)),
        RawDeed::Cut => What::Figures(sections()?, Box::new(condition::BLACK_HOLE)),
        RawDeed::Rule => {
            let rule = raw.rule.clone();
            let rule = rule.ok_or("say what the rule is: `rule: { verdict: drop }`")?;
            What::Rule(sections()?, rule)
        }
        RawDeed::Grey => {
            let rule = Rule::new(Matcher::plane(Plane::Data), Verdict::Drop);
            What::Rule(sections()?, rule)
        }
        RawDeed::Partition => What::Figures(
            around(scenario, &raw.target.0)?,
            Box::new(condition::BLACK_HOLE),
        ),
        RawDeed::Heal if raw.target.0.is_empty() => What::Heal(all(scenario)),
        RawDeed::Heal => What::Heal(sections()?),
        RawDeed::Rebind => What::Rebind(sections()?),
        RawDeed::Hog => What::Hog {
            agent: one()?,
            rivals: raw.rivals.unwrap_or(defaults::RIVALS),
        },
        RawDeed::FillDisk => What::FillDisk(one()?),
        RawDeed::ExhaustFds => What::ExhaustDescriptors {
            agent: one()?,
            spare: raw.spare.unwrap_or(0),
        },
        RawDeed::StepClock => What::StepClock {
            agent: one()?,
            step: step(raw.by.as_deref())?,
        },
        RawDeed::Close => What::Close(closed(scenario, raw)?),
        RawDeed::LoseCa => What::LoseCa,
    })
}

fn figures(raw: &RawFault) -> Result<Condition, String> {
    match (raw.condition, raw.figures) {
        (Some(condition), None) => Ok(condition),
        (None, Some(figures)) => Ok(Condition::of(figures)),
        _ => Err(
            "say either `condition: lossy-wan` (see `internal-chaos conditions`) or \
                  `figures: { loss: 0.1 }`"
                .to_owned(),
        ),
    }
}

fn step(by: Option<&str>) -> Result<Step, String> {
    let wrong = || "say by how much the clock jumps: `by: +90s` or `by: -90s`".to_owned();
    let text = by.ok_or_else(wrong)?;
    let (sign, length) = text.split_at_checked(1).ok_or_else(wrong)?;
    let length = humantime::parse_duration(length).map_err(|_| wrong())?;
    match sign {
        "+" => Ok(Step::Forward(length)),
        "-" => Ok(Step::Back(length)),
        _ => Err(wrong()),
    }
}

fn one_agent(scenario: &Scenario, raw: &RawFault) -> Result<AgentId, String> {
    match raw.target.0.as_slice() {
        [name] => agent(scenario, name),
        _ => Err("name one agent: `target: transit-a`".to_owned()),
    }
}

fn in_turn(scenario: &Scenario, raw: &RawFault) -> Result<Vec<AgentId>, String> {
    let named = raw.target.0.iter().map(|name| agent(scenario, name));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    match named.is_empty() {
        true => Err("name the agents in their order: `target: [transit-a, transit-b]`".to_owned()),
        false => Ok(named),
    }
}

fn closed(scenario: &Scenario, raw: &RawFault) -> Result<String, String> {
    let listens = |name: &String| {
        name == super::TARGET || scenario.sites.contains(name) || scenario.resolvers.contains(name)
    };
    match raw.target.0.as_slice() {
        [name] if listens(name) => Ok(name.clone()),
        _ => Err(format!(
            "name what stops answering: `{}`, one of `sites`, or one of `resolvers`",
            super::TARGET
        )),
    }
}

fn sections(scenario: &Scenario, raw: &RawFault) -> Result<Vec<Section>, String> {
    if raw.target.0.is_empty() {
        return Err(
            "name links: `target: one <-> other`, `one -> other` for one direction, or an \
                    agent for all its links"
                .to_owned(),
        );
    }
    let mut found = Vec::new();
    for target in &raw.target.0 {
        match Place::of(target) {
            Place::One(name) => {
                let agent = agent(scenario, name)?;
                found.extend(links_of(scenario, |link| {
                    link.one == agent || link.other == agent
                }));
            }
            Place::Both(one, other) => found.push(Section {
                link: between(scenario, one, other)?,
                ways: Ways::Both,
            }),
            Place::Way { from, to } => {
                let link = between(scenario, from, to)?;
                let forward = scenario.links[link].one == agent(scenario, from)?;
                let ways = if forward {
                    Ways::ToServer
                } else {
                    Ways::ToClient
                };
                found.push(Section { link, ways });
            }
        }
    }
    if found.is_empty() {
        return Err("that agent has no links".to_owned());
    }
    Ok(found)
}

fn between(scenario: &Scenario, one: &str, other: &str) -> Result<LinkId, String> {
    let (one, other) = (agent(scenario, one)?, agent(scenario, other)?);
    let pair = [(one, other), (other, one)];
    let is = |link: &Link| pair.contains(&(link.one, link.other));
    scenario
        .links
        .iter()
        .position(is)
        .ok_or_else(|| "these two have no link; add it to `links`, or name another".to_owned())
}

fn links_of(scenario: &Scenario, is: impl Fn(&Link) -> bool) -> Vec<Section> {
    let links = scenario.links.iter().enumerate();
    let chosen = links.filter(|(_, link)| is(link)).map(|(link, _)| Section {
        link,
        ways: Ways::Both,
    });
    chosen.collect()
}

fn all(scenario: &Scenario) -> Vec<Section> {
    links_of(scenario, |_| true)
}

/// The links between a group and everybody else.
fn around(scenario: &Scenario, group: &[String]) -> Result<Vec<Section>, String> {
    let inside = group.iter().map(|name| agent(scenario, name));
    let inside: BTreeSet<AgentId> = inside.collect::<Result<_, _>>()?;
    let crosses = |link: &Link| inside.contains(&link.one) != inside.contains(&link.other);
    let cut = links_of(scenario, crosses);
    if cut.is_empty() {
        return Err("no link leads out of that group; name the agents of one side".to_owned());
    }
    Ok(cut)
}

fn text(raw: &RawFault, lasts: Option<Duration>) -> String {
    let deed = match raw.deed {
        RawDeed::Kill => "kill",
        RawDeed::Sigterm => "SIGTERM",
        RawDeed::Stop => "stop",
        RawDeed::Continue => "continue",
        RawDeed::Restart => "restart",
        RawDeed::Roll => "restart in turn",
        RawDeed::Condition => "condition",
        RawDeed::Cut => "cut",
        RawDeed::Rule => "rule on",
        RawDeed::Grey => "lose data on",
        RawDeed::Partition => "partition",
        RawDeed::Heal => "heal",
        RawDeed::Rebind => "change the NAT ports of",
        RawDeed::Hog => "take the CPU of",
        RawDeed::FillDisk => "fill the disk of",
        RawDeed::ExhaustFds => "take the descriptors of",
        RawDeed::StepClock => "step the clock of",
        RawDeed::Close => "close",
        RawDeed::LoseCa => "lose the CA's key",
    };
    let mut text = deed.to_owned();
    if let Some(condition) = raw.condition {
        let _ = write!(text, " {condition} on");
    }
    if !raw.target.0.is_empty() {
        let _ = write!(text, " {}", raw.target.0.join(", "));
    } else if raw.deed == RawDeed::Heal {
        text.push_str(" all links");
    }
    if let Some(by) = &raw.by {
        let _ = write!(text, " by {by}");
    }
    if let Some(lasts) = lasts {
        let _ = write!(text, " for {lasts:?}");
    }
    text
}

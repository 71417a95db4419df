//! Whether faults excuse that an open connection ended early: pure.
//!
//! No fault says of itself what it may break: that follows from what is left of the mesh. What a
//! fault touches counts as gone from its beginning until [`AFTERMATH`] after its end, or longer where links are long, also a link
//! that only loses packets, or loses them one way. As long as every ingress has a way to every exit,
//! nothing may break: it lives on over the way that is left. Faults that are felt at once count
//! together: of two transits, each is the way around the other.
//!
//! New connections are not judged so. A link that came back after several flaps is in its hold for
//! up to a minute, and for a second even if nothing else is left: sessions wait until it is let go
//! of, new connections for half a second only.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::model::{AgentId, LinkId, Scenario, What};
use super::super::record::Struck;

/// How long a fault is felt after its end, on short links. Those that fell silent and agents that were
/// started again are back within a second and a half; what lost its last other way just before that is
/// reset 1.3 s later.
const AFTERMATH: Duration = Duration::from_secs(3);

/// The same in round trips of the longest link that is touched: a link takes as many to form.
const ROUNDS: u32 = 8;

/// A machine that stood still for so long has stopped all agents: sessions wait a second.
pub(super) const STANDSTILL: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Agent(AgentId),
    Link(LinkId),
}

/// A fault while it is felt.
#[derive(Debug)]
struct Felt {
    from: Duration,
    to: Duration,
    gone: Vec<Part>,
}

/// What the faults of a cycle excuse.
#[derive(Debug)]
pub(super) struct Excuses<'a> {
    scenario: &'a Scenario,
    felt: Vec<Felt>,
}

impl<'a> Excuses<'a> {
    /// `pause` is the longest time for which the machine stood still.
    pub(super) fn new(scenario: &'a Scenario, struck: &[Struck], pause: Duration) -> Self {
        let felt = struck.iter().map(|struck| {
            let mut faults = scenario.faults.iter();
            let fault = faults.find(|fault| fault.text == struck.fault);
            let gone = fault.map_or_else(Vec::new, |fault| touched(scenario, &fault.what));
            let aftermath = AFTERMATH + longest(scenario, &gone) * ROUNDS;
            Felt {
                from: struck.at,
                to: struck.until.unwrap_or(struck.at) + aftermath,
                gone,
            }
        });
        let standstill = (pause >= STANDSTILL).then(|| Felt {
            from: Duration::ZERO,
            to: Duration::MAX,
            gone: everybody(scenario),
        });
        Self {
            scenario,
            felt: felt.chain(standstill).collect(),
        }
    }

    /// Whether at some time from `from` to `to` an ingress may have lost an exit.
    pub(super) fn within(&self, from: Duration, to: Duration) -> bool {
        // Between two beginnings of faults things only get better.
        let begin = self.felt.iter().map(|felt| felt.from);
        let begin = begin.filter(|at| (from..=to).contains(at));
        begin.chain([from]).any(|at| self.cut_off(&self.gone(at)))
    }

    /// Whether an ingress has no way to some exit without these.
    fn cut_off(&self, gone: &BTreeSet<Part>) -> bool {
        let agents = || self.scenario.agents.iter().enumerate();
        let mut ingresses = agents().filter(|(_, agent)| agent.is_ingress);
        ingresses.any(|(ingress, _)| {
            let reached = reached(self.scenario, ingress, gone);
            let mut exits = agents().filter(|(_, agent)| agent.is_exit());
            exits.any(|(exit, _)| !reached.contains(&exit))
        })
    }

    fn gone(&self, at: Duration) -> BTreeSet<Part> {
        let felt = self.felt.iter();
        let felt = felt.filter(|felt| (felt.from..=felt.to).contains(&at));
        felt.flat_map(|felt| &felt.gone).copied().collect()
    }
}

/// What a fault may take away.
fn touched(scenario: &Scenario, what: &What) -> Vec<Part> {
    match what {
        What::Kill(agent)
        | What::Terminate(agent)
        | What::Stop(agent)
        | What::Continue(agent)
        | What::Restart(agent)
        | What::Hog { agent, .. }
        | What::FillDisk(agent)
        | What::ExhaustDescriptors { agent, .. }
        | What::StepClock { agent, .. } => vec![Part::Agent(*agent)],
        What::Roll(agents) => agents.iter().copied().map(Part::Agent).collect(),
        What::Figures(sections, _)
        | What::Rule(sections, _)
        | What::Heal(sections)
        | What::Rebind(sections) => sections.iter().map(|it| Part::Link(it.link)).collect(),
        // Also the target, which no agent stands in for.
        What::Close(_) => everybody(scenario),
        What::LoseCa => Vec::new(),
    }
}

/// The longest round trip of the links that are gone with these.
fn longest(scenario: &Scenario, gone: &[Part]) -> Duration {
    let links = scenario.links.iter().enumerate();
    let gone = links.filter(|(id, link)| {
        let parts = [
            Part::Link(*id),
            Part::Agent(link.one),
            Part::Agent(link.other),
        ];
        parts.iter().any(|part| gone.contains(part))
    });
    let round_trips = gone.map(|(_, link)| link.condition.round_trip());
    round_trips.max().unwrap_or_default()
}

fn everybody(scenario: &Scenario) -> Vec<Part> {
    (0..scenario.agents.len()).map(Part::Agent).collect()
}

/// The agents that one reaches over what is left.
fn reached(scenario: &Scenario, from: AgentId, gone: &BTreeSet<Part>) -> BTreeSet<AgentId> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(agent) = next.pop() {
        if gone.contains(&Part::Agent(agent)) || !reached.insert(agent) {
            continue;
        }
        let links = scenario.links.iter().enumerate();
        let left = links.filter(|(id, _)| !gone.contains(&Part::Link(*id)));
        next.extend(left.filter_map(|(_, link)| match agent {
            it if it == link.one => Some(link.other),
            it if it == link.other => Some(link.one),
            _ => None,
        }));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::super::file;
    use super::super::cli::MESH;
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn mesh() -> Scenario {
        file::parse("soak", "soak.yaml", MESH).unwrap()
    }

    /// Faults of the mesh by the beginnings of their texts, each at a time for a second.
    fn excuses<'a>(scenario: &'a Scenario, struck: &[(&str, u64)]) -> Excuses<'a> {
        let struck = struck.iter().map(|(text, at)| {
            let mut faults = scenario.faults.iter();
            let fault = faults.find(|fault| fault.text.starts_with(text));
            Struck {
                fault: fault.expect(text).text.clone(),
                at: ms(*at),
                until: Some(ms(at + 1_000)),
                decided: 0,
            }
        });
        Excuses::new(scenario, &struck.collect::<Vec<_>>(), ms(0))
    }

    #[test]
    fn what_each_fault_of_the_mesh_excuses() {
        let scenario = mesh();
        for fault in &scenario.faults {
            let text = fault.text.as_str();
            let excuses = excuses(&scenario, &[(text, 5_000)]);
            let excused = excuses.within(ms(5_500), ms(5_500));
            let ends = [
                "kill exit",
                "SIGTERM exit",
                "stop exit",
                "stop ingress",
                "partition",
            ];
            let wanted = ends.iter().any(|it| text.starts_with(it));
            assert_eq!(excused, wanted, "{text}");
        }
    }

    #[test]
    fn an_excuse_has_its_time() {
        let scenario = mesh();
        let excuses = excuses(&scenario, &[("kill exit-b", 5_000)]);
        let within = |from, to| excuses.within(ms(from), ms(to));
        assert!(!within(4_999, 4_999) && within(5_000, 5_000));
        // Its longest link has a round trip of 420 ms.
        assert!(within(12_360, 12_360) && !within(12_361, 12_361));
        assert!(within(1_000, 20_000) && !within(12_361, 20_000));
    }

    #[test]
    fn faults_that_are_felt_at_once_count_together() {
        let scenario = mesh();
        let both = |pause: u64| {
            let cut = ("cut ingress <-> transit-a", 5_000 + 1_000 + pause);
            excuses(&scenario, &[("kill transit-b", 5_000), cut])
        };
        let (soon, late) = (both(300), both(6_361));
        assert!(!soon.within(ms(6_000), ms(6_000)));
        assert!(soon.within(ms(6_300), ms(6_300)));
        assert!(!late.within(ms(0), ms(20_000)));
        // They take different transits, but the way over exit-b is left.
        let around = [
            ("cut ingress <-> transit-a", 0),
            ("cut transit-b <-> exit-a", 0),
        ];
        assert!(!excuses(&scenario, &around).within(ms(0), ms(9_000)));
    }

    #[test]
    fn a_machine_that_stands_still_excuses_everything() {
        let scenario = mesh();
        for (pause, excused) in [(999, false), (1_000, true)] {
            let excuses = Excuses::new(&scenario, &[], ms(pause));
            assert_eq!(excuses.within(ms(7), ms(7)), excused);
        }
    }
}

//! From what stands in a file to a scenario; all problems are told at once.

use std::time::Duration;

use serde_yaml::{Location, Spanned};

use super::deed;
use super::model::{Agent, Entry, Expect, Link, Load, Scenario, Work, defaults};
use super::named::{agent, known};
use super::raw::{RawAgent, RawLink, RawLoad, RawScenario, RawWork, Role};
use crate::condition;
use crate::mesh::Settings;
use crate::workload::checked::Kind;
use crate::workload::socks::CONNECT_LIMIT;

/// The longest load: a scenario is looked at by people, and its arrivals are remembered.
pub(super) const LONGEST: Duration = Duration::from_secs(1_200);

/// Agents of one scenario: each is a process.
const MOST_AGENTS: usize = 32;

/// Connections of one load at once, and of one storm in all.
const MOST_CONNECTIONS: u32 = 1_000;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) message: String,
}

impl Problem {
    /// Of no place in particular.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self {
            line: 0,
            column: 0,
            message: message.into(),
        }
    }
}

/// Collects problems while what can be read is read.
#[derive(Default)]
struct Checker {
    problems: Vec<Problem>,
}

/// The whole scenario, or everything that is wrong with it, in the order of the file.
pub(super) fn scenario(name: &str, raw: RawScenario) -> Result<Scenario, Vec<Problem>> {
    let mut checker = Checker::default();
    let duration = raw.duration.value.into_inner();
    if duration.is_zero() || duration > LONGEST {
        let message = format!("a load lasts more than 0 s and at most {LONGEST:?}");
        checker.add(raw.duration.referenced, message);
    }
    let mut scenario = Scenario {
        name: name.to_owned(),
        summary: raw.summary,
        covers: raw.covers.0,
        duration,
        jitter: raw
            .jitter
            .map_or(defaults::JITTER, humantime_serde::Serde::into_inner),
        drain: raw
            .drain
            .map_or(defaults::DRAIN, humantime_serde::Serde::into_inner),
        connect_limit: raw
            .connect_limit
            .map_or(CONNECT_LIMIT, humantime_serde::Serde::into_inner),
        has_balancer: raw.haproxy,
        agents: Vec::new(),
        links: Vec::new(),
        sites: checker.names(raw.sites),
        resolvers: checker.names(raw.resolvers),
        faults: Vec::new(),
        loads: Vec::new(),
        expect: Expect::default(),
    };
    for (name, agent) in raw.agents {
        let agent = checker.agent(&scenario, name, agent, &raw.settings);
        scenario.agents.push(agent);
    }
    if scenario.agents.len() > MOST_AGENTS {
        let message = format!("at most {MOST_AGENTS} agents: each is a process");
        checker.add(raw.duration.referenced, message);
    }
    for link in raw.links {
        match self::link(&scenario, &link.value) {
            Ok(link) => scenario.links.push(link),
            Err(message) => checker.add(link.referenced, message),
        }
    }
    for load in raw.workload {
        match self::load(&scenario, &load.value) {
            Ok(load) => scenario.loads.push(load),
            Err(message) => checker.add(load.referenced, message),
        }
    }
    for fault in raw.faults {
        match deed::fault(&scenario, fault.value) {
            Ok(fault) => scenario.faults.push(fault),
            Err(message) => checker.add(fault.referenced, message),
        }
    }
    scenario.faults.sort_by_key(|fault| fault.at);
    checker.expect(&scenario, &raw.expect);
    scenario.expect = raw.expect;
    if checker.problems.is_empty() {
        return Ok(scenario);
    }
    let place = |problem: &Problem| (problem.line, problem.column);
    checker.problems.sort_by_key(place);
    Err(checker.problems)
}

/// A name becomes part of file names and of certificates.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-')
}

fn unnameable(name: &str) -> String {
    format!("`{name}` is no name: up to 32 lower-case letters, digits and `-`")
}

fn link(scenario: &Scenario, raw: &RawLink) -> Result<Link, String> {
    let [one, other] = raw.between.as_slice() else {
        return Err("a link is between two agents: `between: [one, other]`".to_owned());
    };
    let (one, other) = (agent(scenario, one)?, agent(scenario, other)?);
    if one == other {
        return Err("an agent has no link to itself".to_owned());
    }
    let same = |link: &Link| [(one, other), (other, one)].contains(&(link.one, link.other));
    if scenario.links.iter().any(same) {
        return Err("these two have a link already; remove one".to_owned());
    }
    Ok(Link {
        one,
        other,
        cost: raw.cost.unwrap_or(1),
        condition: raw.condition.unwrap_or(condition::CLEAR),
    })
}

fn load(scenario: &Scenario, raw: &RawLoad) -> Result<Load, String> {
    let entry = entry(scenario, raw)?;
    let at = raw.at.map_or_else(Default::default, |at| at.into_inner());
    let rest = scenario.duration.saturating_sub(at);
    let lasts = raw.lasts.map_or(rest, |time| time.into_inner());
    if lasts.is_zero() || lasts > rest {
        return Err(format!(
            "it must begin and end within the {:?} of the scenario",
            scenario.duration
        ));
    }
    Ok(Load {
        work: work(raw)?,
        entry,
        by_name: raw.by_name,
        again: raw.again,
        each: each(raw, lasts)?,
        at,
        lasts,
    })
}

fn entry(scenario: &Scenario, raw: &RawLoad) -> Result<Entry, String> {
    let first = scenario.agents.iter().position(|agent| agent.is_ingress);
    let first = first.ok_or("no agent has the role `ingress`; a load needs one")?;
    let named = raw.from.as_ref().map(|name| agent(scenario, name));
    let from = match named.transpose()? {
        Some(from) => from,
        None if scenario.has_balancer => return Ok(Entry::Balancer),
        None => first,
    };
    if !scenario.agents[from].is_ingress {
        let name = &scenario.agents[from].name;
        return Err(format!("`{name}` is no ingress; add the role, or take one"));
    }
    Ok(Entry::Ingress(from))
}

fn each(raw: &RawLoad, lasts: Duration) -> Result<Option<Duration>, String> {
    let each = raw.each.map(humantime_serde::Serde::into_inner);
    match each {
        Some(each) if each.is_zero() || each > lasts => Err(format!(
            "`each: {each:?}` is how long one transfer lasts: more than 0 s, and at most the {lasts:?} \
             of the load"
        )),
        each => Ok(each),
    }
}

fn work(raw: &RawLoad) -> Result<Work, String> {
    let most = |default: u32| match raw.count.unwrap_or(default) {
        count @ 1..=MOST_CONNECTIONS => Ok(count),
        count => Err(format!("`count: {count}` is not 1 to {MOST_CONNECTIONS}")),
    };
    let only = |key: &str, is_set: bool| match is_set {
        true => Err(format!("`{key}` means nothing to this load; remove it")),
        false => Ok(()),
    };
    let unpaced = matches!(
        raw.work,
        RawWork::Connect | RawWork::Storm | RawWork::Request | RawWork::Rude
    );
    only("rate", raw.rate.is_some() && unpaced)?;
    only("every", raw.every.is_some() && raw.work != RawWork::Connect)?;
    let transfers = matches!(raw.work, RawWork::Download | RawWork::Upload);
    only("again", raw.again && !transfers)?;
    only("each", raw.each.is_some() && !transfers)?;
    only("count", raw.count.is_some() && raw.work == RawWork::Connect)?;
    let checked = |kind, rate| {
        Ok::<_, String>(Work::Checked {
            kind,
            count: most(1)?,
            rate,
        })
    };
    Ok(match raw.work {
        RawWork::Download => Work::Download {
            count: most(1)?,
            rate: raw.rate,
        },
        RawWork::Upload => Work::Upload {
            count: most(1)?,
            rate: raw.rate,
        },
        RawWork::Chain => checked(Kind::Both, raw.rate)?,
        RawWork::Connect => {
            let every = raw.every.map_or(defaults::EVERY, |time| time.into_inner());
            if every.is_zero() {
                return Err("`every` must be more than 0 s".to_owned());
            }
            Work::Connect { every }
        }
        RawWork::Storm => Work::Storm {
            count: most(defaults::STORM)?,
        },
        RawWork::Rude => Work::Rude { count: most(1)? },
        RawWork::Request => checked(Kind::Request, None)?,
        RawWork::HalfClose => checked(Kind::HalfClose, raw.rate)?,
        RawWork::SlowReader => checked(Kind::SlowReader, Some(raw.rate.unwrap_or(defaults::SLOW)))?,
    })
}

impl Checker {
    fn add(&mut self, place: Location, message: impl Into<String>) {
        self.problems.push(Problem {
            line: place.line(),
            column: place.column(),
            message: message.into(),
        });
    }

    fn names(&mut self, names: Vec<Spanned<String>>) -> Vec<String> {
        let mut good = Vec::new();
        for Spanned {
            value, referenced, ..
        } in names
        {
            if !is_name(&value) || value == super::TARGET {
                self.add(referenced, unnameable(&value));
            } else if good.contains(&value) {
                self.add(referenced, format!("`{value}` stands twice; remove one"));
            } else {
                good.push(value);
            }
        }
        good
    }

    /// An agent even if something about it is wrong, so that what names it is not wrong, too.
    fn agent(
        &mut self,
        scenario: &Scenario,
        name: String,
        raw: Spanned<RawAgent>,
        common: &Settings,
    ) -> Agent {
        let (place, raw) = (raw.referenced, raw.value);
        if !is_name(&name) {
            self.add(place, unnameable(&name));
        }
        let is_exit = raw.roles.contains(&Role::Exit);
        let only_exits = !(raw.prefixes.is_none() && raw.checks.is_empty());
        if !is_exit && (only_exits || !raw.resolvers.is_empty()) {
            let message = "prefixes, checks and resolvers are an exit's; add the role `exit`";
            self.add(place, message);
        }
        let prefixes = raw
            .prefixes
            .unwrap_or_else(|| vec![defaults::PREFIX.to_owned()]);
        let mut listed = |kind, names: Vec<Spanned<String>>, known_names: &[String]| {
            let mut good = Vec::new();
            for name in names {
                if known_names.contains(&name.value) {
                    good.push(name.value);
                } else {
                    let known = known(kind, known_names.iter().map(String::as_str));
                    let message = format!("no {kind} is called `{}`; {known}", name.value);
                    self.add(name.referenced, message);
                }
            }
            good
        };
        let mut settings = common.clone();
        crate::mesh::merge(&mut settings, &raw.settings);
        Agent {
            is_ingress: raw.roles.contains(&Role::Ingress),
            prefixes: is_exit.then_some(prefixes),
            checks: listed("site", raw.checks, &scenario.sites),
            resolvers: listed("resolver", raw.resolvers, &scenario.resolvers),
            expires: raw.expires.map(humantime_serde::Serde::into_inner),
            settings,
            name,
        }
    }

    fn expect(&mut self, scenario: &Scenario, expect: &Expect) {
        let path = expect.path.iter();
        let path = path.flat_map(|path| path.value.iter().map(|name| (name, path.referenced)));
        let health = expect.health.iter();
        let health = health.map(|(name, statuses)| (name, statuses.referenced));
        for (name, place) in path.chain(health) {
            if let Err(message) = agent(scenario, name) {
                self.add(place, message);
            }
        }
        if let (None, Some(within)) = (&expect.path, expect.returns_within) {
            let message = format!("`returns-within: {within:?}` to which path? Say `path`");
            self.problems.push(Problem::whole(message));
        }
        let connects = |load: &Load| matches!(load.work, Work::Connect { .. } | Work::Storm { .. });
        let waits = expect.wait.is_some() || expect.recovers_within.is_some();
        // A load that is wrong was told of already.
        let is_sound = self.problems.is_empty();
        if is_sound && waits && !scenario.loads.iter().any(connects) {
            let message = "`wait` and `recovers-within` are of new connections; add a load \
                           `do: connect`";
            self.problems.push(Problem::whole(message));
        }
    }
}

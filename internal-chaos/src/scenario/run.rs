//! One run of a scenario: the mesh, the load, the faults at their times, and what was seen.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::time::sleep_until;

use super::balancer::Balancer;
use super::load::{Loads, Running};
use super::model::{Scenario, What};
use super::origin::Watchman;
use super::record::{Growth, Record, Struck};
use super::strike::Field;
use super::targets::Targets;
use super::watch::{self, Watch, Watched};
use super::wires::{FaultId, Wires};
use crate::mesh::{Agents, Peer, Plan, Whole};
use crate::ports::Ports;
use crate::procstat;
use crate::spot::Spot;

/// How long an agent may take to say at the end what it is expected to say, and to let go of what
/// the load has left.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// Rest between two looks.
const POLL: Duration = Duration::from_millis(50);

/// After a move its stall is told of a second later.
const LAST_WORDS: Duration = Duration::from_millis(1_300);

/// Something to do at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Undo(FaultId),
    Strike(FaultId),
}

/// What a process has.
#[derive(Clone, Copy, Debug)]
struct Size {
    memory_bytes: i64,
    descriptors: i64,
}

/// Runs a scenario with this binary. Logs and configurations are kept in a folder below `keep`, if
/// it is given. Fails if the mesh cannot be started or a fault cannot be done; what the faults lead
/// to is in the record.
pub async fn play(
    scenario: &Scenario,
    warren: &Path,
    seed: u64,
    keep: Option<&Path>,
) -> anyhow::Result<Record> {
    let (folder, _temporary) = folder(&scenario.name, keep)?;
    let watchman = Watchman::new().context("cannot ask the kernel about sockets")?;
    let mut field = stand_up(scenario, warren, &folder, &watchman, seed).await?;
    let record = observe(scenario, &mut field, &watchman, seed).await;
    field.end().await;
    record
}

/// Everything that a scenario names, with no agent running yet.
pub(super) async fn stand_up(
    scenario: &Scenario,
    warren: &Path,
    folder: &Path,
    watchman: &Watchman,
    seed: u64,
) -> anyhow::Result<Field> {
    let ports = Ports::default();
    let spots = scenario
        .agents
        .iter()
        .map(|_| Ok(Arc::new(Spot::here(&ports)?)));
    let spots: Vec<Arc<Spot>> = spots.collect::<anyhow::Result<_>>()?;
    let listens: Vec<_> = spots.iter().map(|spot| spot.place().link).collect();
    let wires = Wires::start(scenario, &listens, seed)?;
    let sites = (&scenario.sites, &scenario.resolvers);
    let targets = Targets::open(sites.0, sites.1, &ports, watchman).await?;
    let balancer = balancer(scenario, &spots, folder, &ports)?;
    let plans = plans(scenario, &wires, &targets.addresses());
    let plans = plans.into_iter().zip(spots).collect();
    let whole = Whole {
        links: scenario.links.len(),
        exits: scenario
            .agents
            .iter()
            .filter(|agent| agent.is_exit())
            .count(),
        ..Whole::default()
    };
    let agents = Agents::prepare(warren, folder, plans, whole).await?;
    Ok(Field::new(
        scenario, agents, wires, targets, balancer, watchman,
    ))
}

/// What stands in front of the ingresses, if the scenario wants it.
fn balancer(
    scenario: &Scenario,
    spots: &[Arc<Spot>],
    folder: &Path,
    ports: &Ports,
) -> anyhow::Result<Option<Balancer>> {
    if !scenario.has_balancer {
        return Ok(None);
    }
    let spots = scenario.agents.iter().zip(spots);
    let ingresses = spots.filter(|(agent, _)| agent.is_ingress);
    let places = ingresses.map(|(_, spot)| spot.place()).collect();
    Ok(Some(Balancer::new(ports.take()?, folder, places)))
}

/// What the agents shall be; each dials its neighbours at the relays of their links.
fn plans(scenario: &Scenario, wires: &Wires, listens: &BTreeMap<String, SocketAddr>) -> Vec<Plan> {
    let (clocks, disks) = (scenario.clocks(), scenario.disks());
    let peers = |agent: usize| {
        let links = scenario.links.iter().enumerate();
        let peers = links.filter_map(move |(number, link)| {
            let neighbor = match agent {
                it if it == link.one => link.other,
                it if it == link.other => link.one,
                _ => return None,
            };
            Some(Peer {
                agent: neighbor,
                address: wires.address(number, agent),
                cost: link.cost,
            })
        });
        peers.collect()
    };
    let agents = scenario.agents.iter().enumerate();
    let plans = agents.map(|(number, agent)| Plan {
        name: agent.name.clone(),
        is_ingress: agent.is_ingress,
        prefixes: agent.prefixes.clone(),
        checks: agent
            .checks
            .iter()
            .map(|site| (site.clone(), listens[site]))
            .collect(),
        resolvers: agent.resolvers.iter().map(|name| listens[name]).collect(),
        peers: peers(number),
        settings: agent.settings.clone(),
        expires: agent.expires,
        own_clock: clocks.contains(&number),
        small_disk: disks.contains(&number),
    });
    plans.collect()
}

/// A fresh folder for a run; the guard removes a temporary one.
pub(super) fn folder(
    name: &str,
    keep: Option<&Path>,
) -> anyhow::Result<(PathBuf, Option<TempDir>)> {
    let Some(keep) = keep else {
        let folder = TempDir::with_prefix("chaos-").context("cannot make a folder")?;
        let path = folder.path().canonicalize()?;
        return Ok((path, Some(folder)));
    };
    let folder = keep.join(name);
    fs::create_dir_all(keep)
        .and_then(|()| fs::create_dir(&folder))
        .with_context(|| format!("cannot make {}; it must not exist", folder.display()))?;
    Ok((folder.canonicalize()?, None))
}

async fn observe(
    scenario: &Scenario,
    field: &mut Field,
    watchman: &Watchman,
    seed: u64,
) -> anyhow::Result<Record> {
    let started = Instant::now();
    field.start().await?;
    let formed = started.elapsed();
    let loads = Loads::new()?;
    let before = sizes(scenario, field);
    let running = loads.begin(scenario, &field.targets, |entry| field.door(entry), seed);
    let began = running.began();
    let watched: Vec<Watched> = watched(scenario, field);
    let watch = Watch::begin(&watched, field.agents.names(), began)?;
    let mut record = Record::default();
    act(scenario, field, &running, seed, &mut record).await?;
    sleep_until((began + scenario.duration).into()).await;
    let loaded = running.finish().await?;
    (record.length, record.formed) = (scenario.duration, formed);
    record.health = settle(scenario, field).await;
    tokio::time::sleep(LAST_WORDS).await;
    let heard = watch.end();
    (record.events, record.forming) = (heard.events, heard.forming);
    (record.paths, record.reasons) = (heard.paths, heard.reasons);
    record.failed_dials = field.agents.failed_dials()?;
    record.growth = growth(scenario, field, &before).await;
    record.deaths.extend(field.died());
    record.origins = watchman.found();
    record.flows = loaded.flows;
    record.attempts = loaded.attempts;
    record.tallies = loaded.tallies;
    (record.pause, record.pauses) = (loaded.pause, loaded.pauses);
    Ok(record)
}

/// Does and undoes all faults at their times.
async fn act(
    scenario: &Scenario,
    field: &mut Field,
    running: &Running,
    seed: u64,
    record: &mut Record,
) -> anyhow::Result<()> {
    let mut struck: BTreeMap<FaultId, Struck> = BTreeMap::new();
    for (at, act) in acts(scenario, seed) {
        sleep_until((running.began() + at).into()).await;
        record.deaths.extend(field.died());
        match act {
            Act::Strike(id) => {
                let fault = &scenario.faults[id];
                let at = running.began().elapsed();
                field.strike(id, fault).await?;
                ensure!(
                    running.began().elapsed() < scenario.duration,
                    "the load had ended before this was done: {}; make `duration` longer",
                    fault.text
                );
                let seen = Struck {
                    fault: fault.text.clone(),
                    at,
                    // It is over when the agents run again.
                    until: matches!(fault.what, What::Restart(_) | What::Roll(_))
                        .then(|| running.began().elapsed()),
                    decided: 0,
                };
                struck.insert(id, seen);
            }
            Act::Undo(id) => {
                let fault = &scenario.faults[id].text;
                let decided = field.undo(id).await;
                let decided = decided.with_context(|| format!("the end of: {fault}"))?;
                if let Some(seen) = struck.get_mut(&id) {
                    seen.until = Some(running.began().elapsed());
                    seen.decided = decided;
                }
            }
        }
    }
    record.faults = struck.into_values().collect();
    Ok(())
}

/// All acts by their times, each fault later by some of the jitter.
fn acts(scenario: &Scenario, seed: u64) -> Vec<(Duration, Act)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut acts = Vec::new();
    for (id, fault) in scenario.faults.iter().enumerate() {
        let at = fault.at + scenario.jitter.mul_f64(random.random::<f64>());
        acts.push((at, Act::Strike(id)));
        if let Some(lasts) = fault.lasts {
            acts.push((at + lasts, Act::Undo(id)));
        }
    }
    acts.sort();
    acts
}

fn watched(scenario: &Scenario, field: &Field) -> Vec<Watched> {
    let agents = scenario.agents.iter().enumerate();
    let watched = agents.map(|(number, agent)| Watched {
        name: agent.name.clone(),
        http: field.agents.place(number).http,
        is_ingress: agent.is_ingress,
    });
    watched.collect()
}

/// Waits until the agents say what they are expected to say, and returns what they say.
async fn settle(scenario: &Scenario, field: &Field) -> BTreeMap<String, Option<String>> {
    let started = Instant::now();
    let mut said = BTreeMap::new();
    for (name, wanted) in &scenario.expect.health {
        let Some(agent) = scenario.agent(name) else {
            continue;
        };
        let address = field.agents.place(agent).http;
        let mut status = watch::status(address).await;
        let is_good = |status: &Option<String>| {
            let status = status.as_ref();
            status.is_some_and(|status| wanted.value.0.contains(status))
        };
        while !is_good(&status) && started.elapsed() < SETTLE_LIMIT {
            tokio::time::sleep(POLL).await;
            status = watch::status(address).await;
        }
        said.insert(name.clone(), status);
    }
    said
}

/// Of every agent that runs, by its process id.
fn sizes(scenario: &Scenario, field: &Field) -> BTreeMap<u32, (String, Size)> {
    let agents = scenario.agents.iter().zip(field.agents.pids());
    let sizes = agents.filter_map(|(agent, pid)| {
        let pid = pid?;
        let (memory, descriptors) = procstat::size(pid)?;
        let size = Size {
            memory_bytes: memory.cast_signed(),
            descriptors: descriptors.cast_signed(),
        };
        Some((pid, (agent.name.clone(), size)))
    });
    sizes.collect()
}

/// What the agents that were not restarted have grown by, once they have let go of what the load
/// has left.
async fn growth(
    scenario: &Scenario,
    field: &Field,
    before: &BTreeMap<u32, (String, Size)>,
) -> Vec<Growth> {
    let started = Instant::now();
    loop {
        let after = sizes(scenario, field);
        let grown = after.iter().filter_map(|(pid, (agent, size))| {
            let (_, before) = before.get(pid)?;
            Some(Growth {
                agent: agent.clone(),
                memory_bytes: size.memory_bytes - before.memory_bytes,
                descriptors: size.descriptors - before.descriptors,
            })
        });
        let grown: Vec<Growth> = grown.collect();
        let limit = scenario.expect.descriptor_growth.unwrap_or(u64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let is_done = grown.iter().all(|growth| growth.descriptors <= limit);
        if is_done || started.elapsed() > SETTLE_LIMIT {
            return grown;
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::ladder::Length;
    use super::super::library;
    use super::*;

    #[test]
    fn equal_seeds_strike_at_equal_times() {
        let scenario = library::find("transit-kill", Length::Short).unwrap();
        assert_eq!(acts(&scenario, 7), acts(&scenario, 7));
        assert_ne!(acts(&scenario, 7), acts(&scenario, 8));
        for (at, act) in acts(&scenario, 7) {
            let Act::Strike(id) = act else { continue };
            let planned = scenario.faults[id].at;
            assert!((planned..=planned + scenario.jitter).contains(&at));
        }
    }
}

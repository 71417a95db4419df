//! The agents of a scenario: real processes on loopback, each with its own files in one folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;

use super::config::{self, Ground, Peer};
use super::model::{AgentId, Scenario};
use super::origin::{Suspect, Watchman};
use super::ports::Ports;
use super::wires::Wires;
use crate::fault::{Clock, SmallDisk, Step, Victim};
use crate::http;
use crate::mesh::certificates;
use crate::process::{Daemon, command_here, output};

/// The longest that a mesh may take to start; a debug build on a busy machine takes seconds.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The longest that an agent may take to end after SIGTERM: it has 2 s to say goodbye.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Rest between two looks at the mesh.
const POLL: Duration = Duration::from_millis(25);

/// The longest that one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Room for an epoch file and little else.
const SMALL_DISK: u64 = 256 * 1024;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What an agent logs of an attempt to reach a peer that failed.
const NOT_REACHED: &str = "\"peer not reached\"";

const CERT_LIMIT: Duration = Duration::from_secs(20);

/// The agents, some of them running. Dropping them kills them.
#[derive(Debug)]
pub(super) struct Agents {
    warren: PathBuf,
    folder: PathBuf,
    agents: Vec<Agent>,
    watchman: Watchman,
    launches: u32,
}

#[derive(Debug)]
struct Agent {
    name: String,
    id: String,
    ports: AgentPorts,
    is_exit: bool,
    clock: Option<Clock>,
    small_disk: bool,
    running: Option<(Daemon, Victim)>,
}

/// Where an agent listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct AgentPorts {
    pub(super) link: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) socks: SocketAddr,
}

impl AgentPorts {
    pub(super) fn take(ports: &Ports) -> anyhow::Result<Self> {
        Ok(Self {
            link: ports.take()?,
            http: ports.take()?,
            socks: ports.take()?,
        })
    }
}

impl Agents {
    /// Makes keys, certificates and configuration files in `folder`; no agent runs yet. The ground
    /// is where agents listen, the links, and where sites and name servers listen.
    pub(super) async fn prepare(
        scenario: &Scenario,
        warren: &Path,
        folder: &Path,
        (ports, wires, listens): (&[AgentPorts], &Wires, &BTreeMap<String, SocketAddr>),
        watchman: &Watchman,
    ) -> anyhow::Result<Self> {
        let names: Vec<String> = scenario.agents.iter().map(|it| it.name.clone()).collect();
        let ids = certificates(warren, folder, &names).await?;
        let (clocks, disks) = (scenario.clocks(), scenario.disks());
        let mut agents = Vec::new();
        for (number, (agent, id)) in scenario.agents.iter().zip(&ids).enumerate() {
            if let Some(expires) = agent.expires {
                expire(warren, folder, &agent.name, expires).await?;
            }
            let data = folder.join(format!("data-{}", agent.name));
            fs::create_dir_all(&data).context("cannot make a data folder")?;
            let clock = clocks.contains(&number).then(|| Clock::new(&data));
            agents.push(Agent {
                name: agent.name.clone(),
                id: id.clone(),
                ports: ports[number],
                is_exit: agent.is_exit(),
                clock: clock.transpose()?,
                small_disk: disks.contains(&number),
                running: None,
            });
            let ground = ground(scenario, number, ports[number], &ids, wires, listens);
            let file = folder.join(format!("{}.yaml", agent.name));
            fs::write(&file, config::document(agent, &ground))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(Self {
            warren: warren.to_owned(),
            folder: folder.to_owned(),
            agents,
            watchman: watchman.clone(),
            launches: 0,
        })
    }

    /// Starts all and waits until each knows every link and each ingress a way to every exit.
    pub(super) async fn start(&mut self, scenario: &Scenario) -> anyhow::Result<()> {
        for agent in 0..self.agents.len() {
            self.launch(agent)?;
        }
        self.await_whole(scenario, START_LIMIT).await
    }

    /// Waits until each knows every link and each ingress a way to every exit; an error if they do
    /// not within `limit`, or one ends.
    pub(super) async fn await_whole(
        &mut self,
        scenario: &Scenario,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        while let Some(missing) = self.missing(scenario).await {
            self.check(&BTreeSet::new())?;
            if started.elapsed() > limit {
                bail!("the mesh is not whole after {limit:?}: {missing}");
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// The first thing that is not as it should be.
    async fn missing(&self, scenario: &Scenario) -> Option<String> {
        let exits = scenario.agents.iter().filter(|agent| agent.is_exit());
        let exits = exits.count();
        for (agent, plan) in self.agents.iter().zip(&scenario.agents) {
            let lack = async {
                let topology = self.ask(agent, "/api/topology").await?;
                let links = topology["edges"].as_array().map_or(0, Vec::len);
                if links < scenario.links.len() {
                    bail!("it knows {links} of {} links", scenario.links.len());
                }
                let routes = self.ask(agent, "/api/routes").await?;
                let known = exits_of(&routes).len();
                if plan.is_ingress && known < exits {
                    bail!("it knows {known} of {exits} exits");
                }
                Ok(())
            };
            if let Err(error) = lack.await {
                return Some(format!("{}: {error:#}", agent.name));
            }
        }
        None
    }

    async fn ask(&self, agent: &Agent, path: &str) -> anyhow::Result<Value> {
        let answer = http::json(agent.ports.http, path);
        let answer = tokio::time::timeout(ANSWER_LIMIT, answer).await;
        answer.unwrap_or_else(|_| bail!("{path}: no answer within {ANSWER_LIMIT:?}"))
    }

    /// Starts an agent that does not run.
    pub(super) fn launch(&mut self, agent: AgentId) -> anyhow::Result<()> {
        self.launches += 1;
        let launch = self.launches;
        let agent = &mut self.agents[agent];
        let mut command = command_here(&self.warren);
        command.args(["run", "-c"]);
        command.arg(self.folder.join(format!("{}.yaml", agent.name)));
        if let Some(clock) = &agent.clock {
            command.envs(clock.environment());
        }
        if agent.small_disk {
            let data = self.folder.join(format!("data-{}", agent.name));
            let wrapped = SmallDisk::new(data, SMALL_DISK).wrap(command.as_std());
            command = Command::from(wrapped);
            command
                .stdin(std::process::Stdio::null())
                .kill_on_drop(true);
        }
        let log = format!("{}-{launch}", agent.name);
        let daemon = Daemon::start(&log, command, &self.folder)?;
        let victim = Victim::open(daemon.pid())?;
        let suspect = Suspect {
            name: agent.name.clone(),
            is_exit: agent.is_exit,
        };
        self.watchman.introduce(daemon.pid(), suspect);
        agent.running = Some((daemon, victim));
        Ok(())
    }

    /// Sends SIGTERM; the agent ends by itself.
    pub(super) fn terminate(&self, agent: AgentId) -> anyhow::Result<()> {
        self.running(agent)?.0.signal(Signal::TERM)
    }

    /// Starts an agent again, as soon as its process has ended; if it runs, it is told to end.
    pub(super) async fn restart(&mut self, agent: AgentId) -> anyhow::Result<()> {
        if let Some((mut daemon, _)) = self.agents[agent].running.take() {
            // It may be dead already, or stopped.
            let _ = daemon.signal(Signal::TERM);
            let _ = daemon.signal(Signal::CONT);
            daemon.wait_end(STOP_LIMIT).await?;
        }
        self.launch(agent)
    }

    fn running(&self, agent: AgentId) -> anyhow::Result<&(Daemon, Victim)> {
        let Agent { name, running, .. } = &self.agents[agent];
        running
            .as_ref()
            .with_context(|| format!("{name} does not run"))
    }

    /// The process of an agent.
    pub(super) fn victim(&self, agent: AgentId) -> anyhow::Result<&Victim> {
        Ok(&self.running(agent)?.1)
    }

    pub(super) fn data_folder(&self, agent: AgentId) -> anyhow::Result<PathBuf> {
        let data = self
            .folder
            .join(format!("data-{}", self.agents[agent].name));
        data.canonicalize().context("a data folder is gone")
    }

    pub(super) fn step_clock(&self, agent: AgentId, step: Step) -> anyhow::Result<()> {
        let clock = self.agents[agent].clock.as_ref();
        Ok(clock.context("it has no clock of its own")?.step(step)?)
    }

    pub(super) fn right_clock(&self, agent: AgentId) -> anyhow::Result<()> {
        let clock = self.agents[agent].clock.as_ref();
        Ok(clock.context("it has no clock of its own")?.heal()?)
    }

    /// An error if an agent has ended that should not have.
    pub(super) fn check(&mut self, may_have_ended: &BTreeSet<AgentId>) -> anyhow::Result<()> {
        for (number, agent) in self.agents.iter_mut().enumerate() {
            if let Some((daemon, _)) = &mut agent.running
                && !may_have_ended.contains(&number)
            {
                daemon.check()?;
            }
        }
        Ok(())
    }

    /// Process ids, `None` of those that do not run.
    pub(super) fn pids(&self) -> Vec<Option<u32>> {
        let pid = |agent: &Agent| agent.running.as_ref().map(|(daemon, _)| daemon.pid());
        self.agents.iter().map(pid).collect()
    }

    pub(super) fn ports(&self, agent: AgentId) -> AgentPorts {
        self.agents[agent].ports
    }

    /// Display names by ids.
    pub(super) fn names(&self) -> BTreeMap<String, String> {
        let named = |agent: &Agent| (agent.id.clone(), agent.name.clone());
        self.agents.iter().map(named).collect()
    }

    /// Attempts to reach a peer that failed, as the logs of all lives of all agents have them.
    pub(super) fn failed_dials(&self) -> anyhow::Result<u64> {
        let mut failed = 0;
        for entry in fs::read_dir(&self.folder).context("the folder is gone")? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "log") {
                let log = fs::read(&path).with_context(|| path.display().to_string())?;
                let log = String::from_utf8_lossy(&log);
                failed += log.matches(NOT_REACHED).count() as u64;
            }
        }
        Ok(failed)
    }

    /// The key of the mesh CA goes; agents do not have it.
    pub(super) fn lose_ca(&self) -> anyhow::Result<()> {
        fs::remove_file(self.folder.join("certs/ca.key")).context("cannot remove the CA's key")
    }

    /// Kills all and waits for their ends.
    pub(super) async fn stop(self) {
        for agent in self.agents {
            if let Some((daemon, _)) = agent.running {
                daemon.stop().await;
            }
        }
    }
}

/// The exits that routes lead to.
fn exits_of(routes: &Value) -> BTreeSet<&str> {
    let routes = routes.as_array().into_iter().flatten();
    routes.filter_map(|route| route["exit"].as_str()).collect()
}

/// Renews a certificate as if it were almost a day ago, for a day: it expires soon.
async fn expire(warren: &Path, folder: &Path, name: &str, expires: Duration) -> anyhow::Result<()> {
    let clock = Clock::new(folder)?;
    clock.step(Step::Back(DAY.saturating_sub(expires)))?;
    let mut command = Command::new(warren);
    command
        .args(["cert", "agent", "--renew", "--days", "1", "-n", name])
        .args(["--ca", "certs", "-o", "certs"])
        .current_dir(folder);
    command.envs(clock.environment());
    output("warren cert agent", command, CERT_LIMIT).await?;
    Ok(())
}

fn ground(
    scenario: &Scenario,
    agent: AgentId,
    ports: AgentPorts,
    ids: &[String],
    wires: &Wires,
    listens: &BTreeMap<String, SocketAddr>,
) -> Ground {
    let neighbors = scenario
        .links
        .iter()
        .enumerate()
        .filter_map(|(number, link)| {
            let other = match agent {
                it if it == link.one => link.other,
                it if it == link.other => link.one,
                _ => return None,
            };
            Some(Peer {
                id: ids[other].clone(),
                address: wires.address(number, agent),
                cost: link.cost,
            })
        });
    let plan = &scenario.agents[agent];
    let checks = plan.checks.iter().map(|site| (site.clone(), listens[site]));
    let resolvers = plan.resolvers.iter().map(|name| listens[name]);
    Ground {
        link: ports.link,
        http: ports.http,
        socks: ports.socks,
        peers: neighbors.collect(),
        checks: checks.collect(),
        resolvers: resolvers.collect(),
    }
}

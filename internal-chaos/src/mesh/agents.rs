//! The agents of a mesh: real processes, each with its own files in one folder, asked over HTTP from
//! where they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::Instant;

use super::certificates::{self, expire};
use super::config::{AgentId, Plan, Settings, merge};
use super::whole::Whole;
use crate::fault::{Clock, SmallDisk, Step, Victim};
use crate::process::{Daemon, prepared};
use crate::spot::{Place, Spot};

/// The longest that a mesh may take to start; a debug build on a busy machine takes seconds.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The longest that an agent may take to end after SIGTERM: it has 2 s to say goodbye.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Rest between two looks at the mesh: short against a failover, long against what an answer costs.
const POLL: Duration = Duration::from_millis(25);

/// The longest that one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Room for an epoch file and little else.
const SMALL_DISK: u64 = 256 * 1024;

/// What an agent logs of an attempt to reach a peer that failed.
const NOT_REACHED: &str = "\"peer not reached\"";

/// The agents, some of them running. Dropping them kills them.
#[derive(Debug)]
pub struct Agents {
    warren: PathBuf,
    folder: PathBuf,
    agents: Vec<Agent>,
    whole: Whole,
    launches: u32,
}

#[derive(Debug)]
struct Agent {
    plan: Plan,
    id: String,
    spot: Arc<Spot>,
    clock: Option<Clock>,
    running: Option<(Daemon, Victim)>,
}

impl Agent {
    async fn ask(&self, path: &'static str) -> anyhow::Result<Value> {
        self.spot.json(path, ANSWER_LIMIT).await
    }
}

impl Agents {
    /// Makes keys, certificates and data folders in `folder`; no agent runs yet. `whole` is what the
    /// mesh must know of itself to have formed.
    pub async fn prepare(
        warren: &Path,
        folder: &Path,
        plans: Vec<(Plan, Arc<Spot>)>,
        whole: Whole,
    ) -> anyhow::Result<Self> {
        let names: Vec<&str> = plans.iter().map(|(plan, _)| plan.name.as_str()).collect();
        let ids = certificates::make(warren, folder, &names).await?;
        let mut agents = Vec::new();
        for ((plan, spot), id) in plans.into_iter().zip(ids) {
            if let Some(expires) = plan.expires {
                expire(warren, folder, &plan.name, expires).await?;
            }
            let data = folder.join(format!("data-{}", plan.name));
            fs::create_dir_all(&data).context("cannot make a data folder")?;
            let clock = plan.own_clock.then(|| Clock::new(&data));
            agents.push(Agent {
                plan,
                id,
                spot,
                clock: clock.transpose()?,
                running: None,
            });
        }
        Ok(Self {
            warren: warren.to_owned(),
            folder: folder.to_owned(),
            agents,
            whole,
            launches: 0,
        })
    }

    /// Writes all configurations, each with these keys over its own, starts all agents and waits until
    /// the mesh is whole. Logs of earlier processes are gone then.
    pub async fn start(&mut self, settings: &Settings) -> anyhow::Result<()> {
        for log in self.logs()? {
            fs::remove_file(log).context("cannot remove an old log")?;
        }
        let ids: Vec<String> = self.agents.iter().map(|agent| agent.id.clone()).collect();
        for number in 0..self.agents.len() {
            let agent = &self.agents[number];
            let mut plan = agent.plan.clone();
            merge(&mut plan.settings, settings);
            let file = self.file(agent);
            fs::write(&file, plan.document(agent.spot.place(), &ids))
                .with_context(|| format!("cannot write {}", file.display()))?;
            self.launch(number)?;
        }
        self.await_whole(START_LIMIT).await.map(drop)
    }

    fn file(&self, agent: &Agent) -> PathBuf {
        self.folder.join(format!("{}.yaml", agent.plan.name))
    }

    fn data(&self, agent: &Agent) -> PathBuf {
        self.folder.join(format!("data-{}", agent.plan.name))
    }

    /// The files of all lives of all agents.
    fn logs(&self) -> anyhow::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.folder).context("the folder is gone")?;
        let paths = entries.map(|entry| Ok(entry?.path()));
        let mut paths = paths.collect::<anyhow::Result<Vec<_>>>()?;
        paths.retain(|path| path.extension().is_some_and(|end| end == "log"));
        Ok(paths)
    }

    /// Waits until each agent knows every link and each ingress the ways to every exit; returns how
    /// long that took. An error if they do not within `limit`, or one ends.
    pub async fn await_whole(&mut self, limit: Duration) -> anyhow::Result<Duration> {
        let started = Instant::now();
        while let Some(missing) = self.missing().await {
            self.check(&BTreeSet::new())?;
            if started.elapsed() > limit {
                bail!("the mesh is not whole after {limit:?}: {missing}");
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(started.elapsed())
    }

    /// The first thing that is not as it should be.
    async fn missing(&self) -> Option<String> {
        for agent in &self.agents {
            let lack = async {
                let topology = agent.ask("/api/topology").await?;
                if let Some(lack) = self.whole.lacks_links(&topology) {
                    return Ok(Some(lack));
                }
                if !agent.plan.is_ingress {
                    return Ok(None);
                }
                let routes = agent.ask("/api/routes").await?;
                anyhow::Ok(self.whole.lacks_exits(&routes))
            };
            let lack = lack
                .await
                .unwrap_or_else(|error| Some(format!("{error:#}")));
            if let Some(lack) = lack {
                return Some(format!("{}: {lack}", agent.plan.name));
            }
        }
        None
    }

    /// Asks an agent for something as JSON.
    pub async fn ask(&self, agent: AgentId, path: &'static str) -> anyhow::Result<Value> {
        self.agents[agent].ask(path).await
    }

    /// Starts an agent that does not run.
    fn launch(&mut self, agent: AgentId) -> anyhow::Result<()> {
        self.launches += 1;
        let it = &self.agents[agent];
        let mut command = it.spot.command(&self.warren);
        command.args(["run", "-c"]).arg(self.file(it));
        if let Some(clock) = &it.clock {
            command.envs(clock.environment());
        }
        if it.plan.small_disk {
            let disk = SmallDisk::new(self.data(it), SMALL_DISK);
            command = prepared(Command::from(disk.wrap(command.as_std())));
        }
        // It tells the logs of one agent's lives apart.
        let log = format!("{}-{}", it.plan.name, self.launches);
        let daemon = Daemon::start(&log, command, &self.folder)?;
        let victim = Victim::open(daemon.pid())?;
        self.agents[agent].running = Some((daemon, victim));
        Ok(())
    }

    /// Starts an agent again, as soon as its process has ended; if it runs, it is told to end.
    pub async fn restart(&mut self, agent: AgentId) -> anyhow::Result<()> {
        if let Ok(victim) = self.victim(agent) {
            // It may be dead already, or stopped.
            let _ = victim.terminate();
            let _ = victim.resume();
        }
        self.start_again(agent).await
    }

    /// Waits until the process of an agent has ended by itself.
    pub async fn await_end(&mut self, agent: AgentId, limit: Duration) -> anyhow::Result<()> {
        match &mut self.agents[agent].running {
            Some((daemon, _)) => daemon.wait_end(limit).await,
            None => Ok(()),
        }
    }

    /// Starts an agent again, as soon as its process has ended by itself.
    pub async fn start_again(&mut self, agent: AgentId) -> anyhow::Result<()> {
        if let Some((mut daemon, _)) = self.agents[agent].running.take() {
            daemon.wait_end(STOP_LIMIT).await?;
        }
        self.launch(agent)
    }

    fn running(&self, agent: AgentId) -> anyhow::Result<&(Daemon, Victim)> {
        let Agent { plan, running, .. } = &self.agents[agent];
        running
            .as_ref()
            .with_context(|| format!("{} does not run", plan.name))
    }

    /// The process of an agent.
    pub fn victim(&self, agent: AgentId) -> anyhow::Result<&Victim> {
        Ok(&self.running(agent)?.1)
    }

    /// The file that an agent logs to now.
    pub fn log(&self, agent: AgentId) -> anyhow::Result<&Path> {
        Ok(self.running(agent)?.0.log())
    }

    /// Its data folder, without links on the way.
    pub fn data_folder(&self, agent: AgentId) -> anyhow::Result<PathBuf> {
        let data = self.data(&self.agents[agent]);
        data.canonicalize().context("a data folder is gone")
    }

    /// Moves an agent's wall clock; `None` makes it right again.
    pub fn step_clock(&self, agent: AgentId, step: Option<Step>) -> anyhow::Result<()> {
        let clock = self.agents[agent].clock.as_ref();
        let clock = clock.context("it has no clock of its own")?;
        match step {
            Some(step) => clock.step(step)?,
            None => clock.heal()?,
        }
        Ok(())
    }

    /// An error if an agent has ended that should not have.
    pub fn check(&mut self, may_have_ended: &BTreeSet<AgentId>) -> anyhow::Result<()> {
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
    pub fn pids(&self) -> Vec<Option<u32>> {
        let pid = |agent: &Agent| agent.running.as_ref().map(|(daemon, _)| daemon.pid());
        self.agents.iter().map(pid).collect()
    }

    /// Where an agent listens.
    pub fn place(&self, agent: AgentId) -> Place {
        self.agents[agent].spot.place()
    }

    /// The agent with this id.
    pub fn find(&self, id: &Value) -> Option<AgentId> {
        self.agents.iter().position(|agent| id == agent.id.as_str())
    }

    /// Display names by ids.
    pub fn names(&self) -> BTreeMap<String, String> {
        let named = |agent: &Agent| (agent.id.clone(), agent.plan.name.clone());
        self.agents.iter().map(named).collect()
    }

    /// Attempts to reach a peer that failed, as the logs of all lives of all agents have them.
    pub fn failed_dials(&self) -> anyhow::Result<u64> {
        let mut failed = 0;
        for path in self.logs()? {
            let log = fs::read(&path).with_context(|| path.display().to_string())?;
            let log = String::from_utf8_lossy(&log);
            failed += log.matches(NOT_REACHED).count() as u64;
        }
        Ok(failed)
    }

    /// The key of the mesh CA goes; agents do not have it.
    pub fn lose_ca(&self) -> anyhow::Result<()> {
        fs::remove_file(self.folder.join("certs/ca.key")).context("cannot remove the CA's key")
    }

    /// Kills all and waits for their ends.
    pub async fn stop(&mut self) {
        for agent in &mut self.agents {
            if let Some((daemon, _)) = agent.running.take() {
                daemon.stop().await;
            }
        }
    }
}

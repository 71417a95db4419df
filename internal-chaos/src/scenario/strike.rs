//! Faults as they are done and undone.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

use super::balancer::Balancer;
use super::model::{AgentId, Entry, Fault, Scenario, What};
use super::origin::{Suspect, Watchman};
use super::targets::Targets;
use super::wires::{FaultId, Wires};
use crate::fault::{Filled, Slowed, Starved};
use crate::mesh::{Agents, Settings};

/// A drain at default settings, and the end of the process.
const DRAIN_LIMIT: Duration = Duration::from_secs(40);

/// From the start of an agent in turn until the mesh is whole again.
const ROLL_LIMIT: Duration = Duration::from_secs(10);

/// What faults are done to.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) agents: Agents,
    pub(super) wires: Wires,
    pub(super) targets: Targets,
    balancer: Option<Balancer>,
    watchman: Watchman,
    /// The agents, as the watchman knows them.
    suspects: Vec<Suspect>,
    held: BTreeMap<FaultId, Held>,
    /// Agents that faults have told to end.
    ended: BTreeSet<AgentId>,
}

/// What it takes to undo a fault.
enum Held {
    Ended(AgentId),
    Stopped(AgentId, Box<dyn Any + Send>),
    Guard(Box<dyn Any + Send>),
    Links,
    Clock(AgentId),
    Closed(String),
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended(_) => "Ended",
            Self::Stopped(..) => "Stopped",
            Self::Guard(_) => "Guard",
            Self::Links => "Links",
            Self::Clock(_) => "Clock",
            Self::Closed(_) => "Closed",
        })
    }
}

impl Field {
    pub(super) fn new(
        scenario: &Scenario,
        agents: Agents,
        wires: Wires,
        targets: Targets,
        balancer: Option<Balancer>,
        watchman: &Watchman,
    ) -> Self {
        let suspects = scenario.agents.iter().map(|agent| Suspect {
            name: agent.name.clone(),
            is_exit: agent.is_exit(),
        });
        Self {
            agents,
            wires,
            targets,
            balancer,
            watchman: watchman.clone(),
            suspects: suspects.collect(),
            held: BTreeMap::new(),
            ended: BTreeSet::new(),
        }
    }

    /// Starts all agents, waits until the mesh is whole, and starts what stands in front of it.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        self.agents.start(&Settings::new()).await?;
        self.introduce();
        if let Some(balancer) = &mut self.balancer {
            balancer.start().await?;
        }
        Ok(())
    }

    /// The SOCKS5 proxy that a load comes in through.
    pub(super) fn door(&self, entry: Entry) -> SocketAddr {
        match (entry, &self.balancer) {
            (Entry::Ingress(agent), _) => self.agents.place(agent).socks,
            (Entry::Balancer, Some(balancer)) => balancer.front(),
            (Entry::Balancer, None) => unreachable!("a checked scenario has the balancer it names"),
        }
    }

    /// Makes the processes of the agents known to who watches the target.
    fn introduce(&self) {
        for (pid, suspect) in self.agents.pids().into_iter().zip(&self.suspects) {
            if let Some(pid) = pid {
                self.watchman.introduce(pid, suspect.clone());
            }
        }
    }

    /// Does a fault.
    pub(super) async fn strike(&mut self, id: FaultId, fault: &Fault) -> anyhow::Result<()> {
        let struck = self.strike_inner(id, fault).await;
        if let Some(held) = struck.with_context(|| fault.text.clone())? {
            self.held.insert(id, held);
        }
        Ok(())
    }

    async fn strike_inner(&mut self, id: FaultId, fault: &Fault) -> anyhow::Result<Option<Held>> {
        let victim = |agent: AgentId| self.agents.victim(agent);
        let guard = |guard: Box<dyn Any + Send>| Some(Held::Guard(guard));
        Ok(match &fault.what {
            What::Kill(agent) => {
                victim(*agent)?.kill()?;
                self.told_to_end(*agent)
            }
            What::Terminate(agent) => {
                victim(*agent)?.terminate()?;
                self.told_to_end(*agent)
            }
            What::Stop(agent) => {
                let stopped = victim(*agent)?.stop()?;
                Some(Held::Stopped(*agent, Box::new(stopped)))
            }
            What::Continue(agent) => {
                self.held
                    .retain(|_, held| !matches!(held, Held::Stopped(it, _) if it == agent));
                None
            }
            What::Restart(agent) => {
                self.start_again(*agent).await?;
                None
            }
            What::Roll(agents) => {
                self.roll(agents).await?;
                None
            }
            What::Figures(sections, figures) => {
                self.wires.impose(id, sections, **figures);
                Some(Held::Links)
            }
            What::Rule(sections, rule) => {
                self.wires.add_rule(id, sections, rule);
                Some(Held::Links)
            }
            What::Heal(sections) => {
                self.wires.heal(sections);
                None
            }
            What::Rebind(sections) => {
                self.wires.rebind(sections)?;
                None
            }
            What::Hog { agent, rivals } => {
                let lasts = fault.lasts.context("a hog needs an end")?;
                guard(Box::new(Slowed::strike(victim(*agent)?, *rivals, lasts)?))
            }
            What::FillDisk(agent) => {
                let folder = self.agents.data_folder(*agent)?;
                guard(Box::new(Filled::strike(victim(*agent)?, &folder)?))
            }
            What::ExhaustDescriptors { agent, spare } => {
                guard(Box::new(Starved::strike(victim(*agent)?, *spare)?))
            }
            What::StepClock { agent, step } => {
                self.agents.step_clock(*agent, Some(*step))?;
                Some(Held::Clock(*agent))
            }
            What::Close(name) => {
                self.targets.close(name).await;
                Some(Held::Closed(name.clone()))
            }
            What::LoseCa => {
                self.agents.lose_ca()?;
                None
            }
        })
    }

    /// Undoes a fault, as far as it is still done. Returns how many packets its rules decided.
    pub(super) async fn undo(&mut self, id: FaultId) -> anyhow::Result<u64> {
        match self.held.remove(&id) {
            None => {}
            Some(Held::Ended(agent)) => self.start_again(agent).await?,
            Some(Held::Stopped(_, guard) | Held::Guard(guard)) => drop(guard),
            Some(Held::Links) => return Ok(self.wires.lift(id)),
            Some(Held::Clock(agent)) => self.agents.step_clock(agent, None)?,
            Some(Held::Closed(name)) => self.targets.reopen(&name).await?,
        }
        Ok(0)
    }

    fn told_to_end(&mut self, agent: AgentId) -> Option<Held> {
        self.ended.insert(agent);
        Some(Held::Ended(agent))
    }

    /// Lets each agent drain and end, starts it and waits until the mesh is whole with it.
    async fn roll(&mut self, agents: &[AgentId]) -> anyhow::Result<()> {
        for &agent in agents {
            self.agents.victim(agent)?.terminate()?;
            self.ended.insert(agent);
            self.agents.await_end(agent, DRAIN_LIMIT).await?;
            self.agents.start_again(agent).await?;
            self.introduce();
            self.ended.remove(&agent);
            self.agents.await_whole(ROLL_LIMIT).await?;
        }
        Ok(())
    }

    async fn start_again(&mut self, agent: AgentId) -> anyhow::Result<()> {
        self.agents.restart(agent).await?;
        self.introduce();
        self.ended.remove(&agent);
        // What had ended it is undone with that.
        self.held
            .retain(|_, held| !matches!(held, Held::Ended(it) if *it == agent));
        Ok(())
    }

    /// What is wrong if an agent has ended that no fault has ended.
    pub(super) fn died(&mut self) -> Option<String> {
        let checked = self.agents.check(&self.ended);
        let checked = checked.and_then(|()| self.balancer.as_mut().map_or(Ok(()), Balancer::check));
        checked.err().map(|error| format!("{error:#}"))
    }

    /// Lets go of everything.
    pub(super) async fn end(mut self) {
        // Stopped agents cannot be waited for.
        self.held.clear();
        self.agents.stop().await;
    }
}

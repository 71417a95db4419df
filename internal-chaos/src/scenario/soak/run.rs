//! The cycles of a soak: load and faults, then a quiet state.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::sleep_until;

use super::super::load::{Loads, Running};
use super::super::model::Scenario;
use super::super::origin::Watchman;
use super::super::record as seen;
use super::super::run::{folder, stand_up};
use super::super::strike::Field;
use super::draw::{Drawn, Urn};
use super::excuse::Excuses;
use super::record::{Cycle, Record};
use super::sample::{Phase, Sample, Size};
use crate::workload::attempt::attempt;
use crate::workload::{Outcome, Route, Target};

/// Between two looks at the agents while they are loaded.
const PACE: Duration = Duration::from_secs(2);

/// How long the mesh may take to be whole once the last fault is undone: links are dialled again
/// after seconds, more after many failures, and those that flapped are held back for up to a minute.
const WHOLE_LIMIT: Duration = Duration::from_secs(90);

/// How long a whole mesh may take to carry a new connection: one that failed is tried again.
const WORKS_LIMIT: Duration = Duration::from_secs(10);

/// Rest between two such tries.
const POLL: Duration = Duration::from_millis(100);

/// From a whole mesh to its quiet state: what the load has left is let go of meanwhile. A reader that takes
/// nothing holds the rest before a reset for 5 s.
const QUIET: Duration = Duration::from_secs(8);

/// Looks at a quiet state, and the time between them.
const LOOKS: u32 = 3;
const LOOK_PACE: Duration = Duration::from_millis(500);

/// Data of two cycles are so far apart.
const SEED_STRIDE: u64 = 1_000_000_000;

/// How long, from which seed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cycle under way is finished.
    pub time: Duration,
    pub seed: u64,
    /// Logs and configurations are kept below this.
    pub keep: Option<PathBuf>,
}

/// A soak under way.
struct Soak<'a> {
    scenario: &'a Scenario,
    field: &'a mut Field,
    loads: Loads,
    random: StdRng,
    urn: Urn,
    seed: u64,
    began: Instant,
    record: Record,
    next_look: Instant,
}

/// Runs cycles of this scenario's load and faults. `tell` is given a line for each. Ends early when
/// an agent ends by itself. Fails if the mesh cannot be started or a fault cannot be done.
pub async fn soak(
    scenario: &Scenario,
    warren: &Path,
    plan: &Plan,
    tell: impl Fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Record> {
    let (folder, _temporary) = folder(&scenario.name, plan.keep.as_deref())?;
    let watchman = Watchman::new().context("cannot ask the kernel about sockets")?;
    let mut field = stand_up(scenario, warren, &folder, &watchman, plan.seed).await?;
    let record = cycles(scenario, &mut field, plan, tell).await;
    field.end().await;
    let mut record = record?;
    record.origins = watchman.found();
    Ok(record)
}

async fn cycles(
    scenario: &Scenario,
    field: &mut Field,
    plan: &Plan,
    tell: impl Fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Record> {
    field.start().await?;
    let began = Instant::now();
    let mut soak = Soak {
        scenario,
        field,
        loads: Loads::new()?,
        random: StdRng::seed_from_u64(plan.seed),
        urn: Urn::new(&scenario.faults),
        seed: plan.seed,
        began,
        record: Record::default(),
        next_look: began,
    };
    while began.elapsed() < plan.time && soak.record.deaths.is_empty() {
        let cycle = soak.cycle().await?;
        tell(&cycle.line())?;
        soak.record.cycles.push(cycle);
    }
    soak.record.length = began.elapsed();
    Ok(soak.record)
}

impl Soak<'_> {
    async fn cycle(&mut self) -> anyhow::Result<Cycle> {
        let number = self.record.cycles.len() + 1;
        let seed = self.seed.wrapping_add(number as u64 * SEED_STRIDE);
        let running = self.loads.begin(
            self.scenario,
            &self.field.targets,
            |entry| self.field.door(entry),
            seed,
        );
        let mut cycle = Cycle {
            number,
            began: running.began() - self.began,
            ..Cycle::default()
        };
        for drawn in self.urn.draw(self.scenario.duration, &mut self.random) {
            self.strike(&running, drawn, &mut cycle).await?;
        }
        let over = running.began() + self.scenario.duration;
        self.look_until(over, &cycle).await;
        let loaded = running.finish().await?;
        let excuses = Excuses::new(self.scenario, &cycle.faults, loaded.pause);
        let loaded = seen::Record {
            flows: loaded.flows,
            attempts: loaded.attempts,
            tallies: loaded.tallies,
            pause: loaded.pause,
            ..seen::Record::default()
        };
        cycle.count(&loaded, &excuses);
        self.rest(&mut cycle).await;
        self.record.deaths.extend(self.field.died());
        Ok(cycle)
    }

    /// Does a fault and undoes it, unless an agent is dead already.
    async fn strike(
        &mut self,
        running: &Running,
        drawn: Drawn,
        cycle: &mut Cycle,
    ) -> anyhow::Result<()> {
        self.look_until(running.began() + drawn.from, cycle).await;
        if let Some(death) = self.field.died() {
            self.record.deaths.push(death);
        }
        if !self.record.deaths.is_empty() {
            return Ok(());
        }
        let fault = &self.scenario.faults[drawn.fault];
        let at = self.began.elapsed();
        self.field.strike(drawn.fault, fault).await?;
        self.look_until(running.began() + drawn.to, cycle).await;
        let undone = self.field.undo(drawn.fault).await;
        let decided = undone.with_context(|| format!("the end of: {}", fault.text))?;
        cycle.faults.push(seen::Struck {
            fault: fault.text.clone(),
            at,
            until: Some(self.began.elapsed()),
            decided,
        });
        Ok(())
    }

    /// Waits until the mesh is whole, works and is quiet, and looks at it.
    async fn rest(&mut self, cycle: &mut Cycle) {
        let over = Instant::now();
        let whole = self.field.agents.await_whole(WHOLE_LIMIT).await;
        if let Err(error) = whole {
            cycle.lost.push(format!("{error:#}"));
        }
        cycle.lost.extend(self.works().await);
        cycle.recovery = over.elapsed();
        tokio::time::sleep(QUIET).await;
        for _ in 0..LOOKS {
            self.look(cycle.number, Phase::Quiet).await;
            tokio::time::sleep(LOOK_PACE).await;
        }
    }

    /// What ingresses do not carry a new connection.
    async fn works(&self) -> Vec<String> {
        let mut lost = Vec::new();
        let target = Target::Address(self.field.targets.echo);
        for (number, agent) in self.scenario.agents.iter().enumerate() {
            if !agent.is_ingress {
                continue;
            }
            let route = Route::via(self.field.agents.place(number).socks);
            let started = Instant::now();
            let mut outcome = attempt(&route, &target).await.outcome;
            while outcome != Outcome::Echoed && started.elapsed() < WORKS_LIMIT {
                tokio::time::sleep(POLL).await;
                outcome = attempt(&route, &target).await.outcome;
            }
            if let Outcome::Failed { error, .. } | Outcome::Broken(error) = outcome {
                let name = &agent.name;
                lost.push(format!(
                    "{name} carries no new connection within {WORKS_LIMIT:?}: {error}"
                ));
            }
        }
        lost
    }

    /// Waits, and looks at the agents from time to time.
    async fn look_until(&mut self, when: Instant, cycle: &Cycle) {
        while self.next_look < when {
            sleep_until(self.next_look.into()).await;
            self.look(cycle.number, Phase::Load).await;
            self.next_look = Instant::now() + PACE;
        }
        sleep_until(when.into()).await;
    }

    /// Samples all agents that run.
    async fn look(&mut self, cycle: usize, phase: Phase) {
        let pids = self.field.agents.pids();
        for (number, pid) in pids.into_iter().enumerate() {
            let Some(pid) = pid else { continue };
            let http = self.field.agents.place(number).http;
            let at = self.began.elapsed();
            let Some(size) = Size::of(pid, http).await else {
                continue;
            };
            self.record.samples.push(Sample {
                at,
                cycle,
                phase,
                agent: self.scenario.agents[number].name.clone(),
                pid,
                size,
            });
        }
    }
}

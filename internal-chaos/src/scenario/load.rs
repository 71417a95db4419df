//! The load of a scenario: what applications do through the ingresses, each load at its time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::TARGET_NAME;
use super::model::{Entry, Load, Scenario, Work};
use super::record::{self, Flow, Tally};
use super::targets::Targets;
use super::transfer::{Carried, Transfer};
use crate::host::Host;
use crate::units::Rate;
use crate::window::{Window, beat};
use crate::workload::attempt::paced;
use crate::workload::checked::{self, Kind, Ledger};
use crate::workload::{Attempt, Route, Target, rude, storm};

/// Connections of a storm under way at once.
const STORM_WIDTH: u32 = 64;

/// Standstills of the machine that are remembered.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// Seeds of two loads are so far apart.
const SEED_STRIDE: u64 = 1_000_000;

/// Threads of their own, so that new connections are timed right while transfers keep theirs busy.
#[derive(Debug)]
pub(super) struct Loads {
    transfers: Host,
    connects: Host,
    clock: Host,
}

/// What a task of a load ends with.
#[derive(Debug)]
enum Done {
    Carried(Carried),
    Attempts(Vec<Attempt>),
    Tally(Tally),
}

/// Loads that run. Dropping them ends them.
#[derive(Debug)]
pub(super) struct Running {
    began: Instant,
    tasks: Vec<Task>,
    clock: JoinHandle<Vec<Instant>>,
    enough: Arc<AtomicBool>,
}

type Task = JoinHandle<Done>;

/// What all loads saw.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) flows: Vec<Flow>,
    pub(super) attempts: Vec<record::Attempt>,
    pub(super) tallies: Vec<Tally>,
    pub(super) pause: Duration,
    pub(super) pauses: Vec<record::Pause>,
}

/// One load with all that it needs to run.
#[derive(Clone)]
struct Job {
    load: Load,
    route: Route,
    echo: Target,
    checked: Target,
    ledger: Arc<Ledger>,
    seed: u64,
    began: Instant,
    drain: Duration,
    limit: Duration,
}

impl Loads {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            transfers: Host::here("transfers")?,
            connects: Host::here("connects")?,
            clock: Host::here("clock")?,
        })
    }

    /// Begins all loads. `door` is the SOCKS5 proxy that they come in through.
    pub(super) fn begin(
        &self,
        scenario: &Scenario,
        targets: &Targets,
        door: impl Fn(Entry) -> SocketAddr,
        seed: u64,
    ) -> Running {
        let began = Instant::now();
        let enough = Arc::<AtomicBool>::default();
        let mut tasks = Vec::new();
        for (load, number) in scenario.loads.iter().zip(1_u64..) {
            let target = |address: SocketAddr| match load.by_name {
                true => Target::Name(TARGET_NAME.to_owned(), address.port()),
                false => Target::Address(address),
            };
            let job = Job {
                load: load.clone(),
                route: Route::via(door(load.entry)),
                echo: target(targets.echo),
                checked: target(targets.checked),
                ledger: Arc::clone(targets.ledger()),
                seed: seed.wrapping_add(number * SEED_STRIDE),
                began,
                drain: scenario.drain,
                limit: scenario.connect_limit,
            };
            self.spawn(job, &mut tasks);
        }
        Running {
            began,
            tasks,
            clock: self.clock.spawn(beat(Arc::clone(&enough))),
            enough,
        }
    }

    fn spawn(&self, job: Job, tasks: &mut Vec<Task>) {
        match job.load.work {
            Work::Download { count, rate } => {
                self.transfers(&job, (Kind::Download, count, rate), tasks);
            }
            Work::Upload { count, rate } => {
                self.transfers(&job, (Kind::Upload, count, rate), tasks);
            }
            Work::Connect { every } => tasks.push(self.connects.spawn(job.clone().connect(every))),
            Work::Storm { count } => tasks.push(self.connects.spawn(job.clone().storm(count))),
            Work::Rude { count } => tasks.push(self.connects.spawn(job.clone().rude(count))),
            Work::Checked { kind, count, rate } => {
                tasks.push(self.transfers.spawn(job.checked(kind, count, rate)));
            }
        }
    }

    fn transfers(
        &self,
        job: &Job,
        (kind, count, rate): (Kind, u32, Option<Rate>),
        tasks: &mut Vec<Task>,
    ) {
        for number in 0..u64::from(count) {
            let name = format!("{} {}", job.load.work.name(), number + 1);
            let plan = checked::Plan {
                seed: job.seed.wrapping_add(number),
                ..job.plan(kind, rate, Duration::MAX)
            };
            let transfer = job.transfer(name, plan).run();
            tasks.push(
                self.transfers
                    .spawn(async move { Done::Carried(transfer.await) }),
            );
        }
    }
}

impl Job {
    fn from(&self) -> Instant {
        self.began + self.load.at
    }

    fn until(&self) -> Instant {
        self.from() + self.load.lasts
    }

    fn since(&self, when: Instant) -> Duration {
        when.saturating_duration_since(self.began)
    }

    fn plan(&self, kind: Kind, rate: Option<Rate>, time: Duration) -> checked::Plan {
        checked::Plan {
            grace: self.drain,
            rate,
            seed: self.seed,
            ledger: Some(Arc::clone(&self.ledger)),
            ..checked::Plan::new(self.route.clone(), self.checked.clone(), kind, time)
        }
    }

    fn transfer(&self, name: String, plan: checked::Plan) -> Transfer {
        Transfer {
            name,
            plan,
            ledger: Arc::clone(&self.ledger),
            zero: self.began,
            from: self.from(),
            until: self.until(),
            again: self.load.again,
            each: self.load.each,
            limit: self.limit,
            drain: self.drain,
        }
    }

    async fn connect(self, every: Duration) -> Done {
        sleep_until(self.from().into()).await;
        let stop = Arc::<AtomicBool>::default();
        let connecting = paced(
            self.route.clone(),
            self.echo.clone(),
            every,
            self.limit,
            Arc::clone(&stop),
        );
        let over = async {
            sleep_until(self.until().into()).await;
            stop.store(true, Ordering::Relaxed);
        };
        let (attempts, ()) = tokio::join!(connecting, over);
        Done::Attempts(attempts)
    }

    async fn storm(self, count: u32) -> Done {
        sleep_until(self.from().into()).await;
        let plan = storm::Plan {
            route: self.route.clone(),
            target: self.echo.clone(),
            concurrent: STORM_WIDTH,
            connections: count,
            time: Duration::MAX,
        };
        Done::Attempts(storm::attempts(&plan).await)
    }

    async fn rude(self, clients: u32) -> Done {
        sleep_until(self.from().into()).await;
        let begun = Instant::now();
        let Route::Via(proxy) = self.route.clone() else {
            unreachable!("a load goes through an ingress");
        };
        let plan = rude::Plan {
            proxy,
            echo: self.echo.clone(),
            clients,
            time: self.load.lasts,
            seed: self.seed,
        };
        let ok = rude::run(&plan).await;
        Done::Tally(Tally {
            name: self.load.work.name().to_owned(),
            begun: self.since(begun),
            over: self.since(Instant::now()),
            ok,
            ..Tally::default()
        })
    }

    async fn checked(self, kind: Kind, connections: u32, rate: Option<Rate>) -> Done {
        sleep_until(self.from().into()).await;
        let begun = Instant::now();
        let time = match kind {
            // One direction after the other, each for so long.
            Kind::HalfClose => self.load.lasts / 2,
            _ => self.load.lasts,
        };
        let plan = checked::Plan {
            connections,
            ..self.plan(kind, rate, time)
        };
        let report = checked::run(&plan).await;
        Done::Tally(Tally {
            name: self.load.work.name().to_owned(),
            begun: self.since(begun),
            over: self.since(Instant::now()),
            bytes: report.exact,
            ok: report.connections.ok,
            failed: report.connections.failed,
            broken: report.connections.broken,
            damaged: report.damaged,
            longest_stall_ms: record::in_millis(report.stalls.longest()),
            errors: report.errors,
        })
    }
}

impl Running {
    /// When the load began: the zero of all times.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Waits for the end of all loads.
    pub(super) async fn finish(mut self) -> anyhow::Result<Loaded> {
        let mut loaded = Loaded::default();
        for task in std::mem::take(&mut self.tasks) {
            match task.await.context("a load panicked")? {
                Done::Carried(carried) => {
                    loaded.flows.extend(carried.flows);
                    loaded.tell(self.began, carried.refused);
                }
                Done::Tally(tally) => loaded.tallies.push(tally),
                Done::Attempts(attempts) => loaded.tell(self.began, attempts),
            }
        }
        self.enough.store(true, Ordering::Relaxed);
        let clock = &mut self.clock;
        let beats = clock.await.context("the clock panicked")?;
        let window = Window {
            from: self.began,
            to: Instant::now(),
        };
        let since = |when: Instant| when.saturating_duration_since(self.began);
        let gaps = window
            .gaps(beats.iter().copied())
            .filter(|gap| gap.length >= LEAST_PAUSE);
        loaded.pauses = gaps
            .map(|gap| record::Pause {
                from: since(gap.begun),
                to: since(gap.begun + gap.length),
            })
            .collect();
        loaded.pause = window.longest_gap(beats).length;
        Ok(loaded)
    }
}

impl Loaded {
    fn tell(&mut self, began: Instant, attempts: Vec<Attempt>) {
        let since = |when: Instant| when.saturating_duration_since(began);
        let attempts = attempts.into_iter().map(|it| record::Attempt {
            begun: since(it.begun),
            ended: since(it.ended),
            outcome: it.outcome,
        });
        self.attempts.extend(attempts);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        self.clock.abort();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

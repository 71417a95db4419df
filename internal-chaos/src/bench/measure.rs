//! One round of one system: start it in a fresh chain, run every load, stop it.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::figures::{Figure, Figures, Held, Load, Payer};
use super::system::{Role, Running, System};
use crate::chain::{Chain, TARGET};
use crate::host::Host;
use crate::procstat::{self, Usage};
use crate::workload::checked::{Kind, Plan};
use crate::workload::serve::{self, Service};
use crate::workload::{Route, Target, bulk, echo, hold, storm};

const BULK_PORT: u16 = 7001;
const ECHO_PORT: u16 = 7002;

/// Time-outs of loads are their own length and this: start, connects and draining.
const GRACE: Duration = Duration::from_secs(60);

/// A proxy that does not carry an echo by then never will.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Samples of connect + echo; the 99th percentile is then the tenth from the end.
const ECHO_SAMPLES: u32 = 1_000;

/// Rest between echoes under bulk, so that they sample the load instead of adding to it.
const ECHO_PAUSE: Duration = Duration::from_millis(5);

/// Echoes under bulk begin when the download is past its start.
const BULK_LEAD: Duration = Duration::from_millis(500);

/// Echoes under bulk end with their time.
const MANY: u32 = 100_000;

/// Connections of a storm under way at once.
const STORM_WIDTH: u32 = 64;

/// Connections of one storm: what fits into the ephemeral ports with TIME_WAIT.
const STORM_CONNECTIONS: u32 = 20_000;

/// After the last idle connection is up, buffers of the handshakes go back.
const SETTLE: Duration = Duration::from_secs(1);

/// What every round needs to know.
#[derive(Debug)]
pub struct Settings<'a> {
    pub warren: &'a Path,
    pub seconds: u32,
    pub idle: u32,
}

/// A started system with its targets. Fields drop in order: processes and threads before namespaces.
struct Round<'a> {
    system: System,
    settings: &'a Settings<'a>,
    running: Running,
    /// Two threads beside the ingress, so that one load does not slow the other one.
    bulk: Host,
    echo: Host,
    _targets: [Host; 2],
    _chain: Chain,
}

/// Measures `system` once. What was measured before an error stays recorded.
pub async fn measure(
    system: System,
    settings: &Settings<'_>,
    figures: &mut Figures,
    progress: &mut dyn FnMut(&str),
) -> anyhow::Result<()> {
    progress("start");
    let mut round = Round::start(system, settings).await?;
    if system != System::Kernel {
        progress("idle connections");
        round.memory(figures).await.context("idle connections")?;
    }
    progress("connect and echo");
    round
        .connect_echo(figures)
        .await
        .context("connect + echo")?;
    for (load, name) in [(Load::One, "1 connection"), (Load::Eight, "8 connections")] {
        progress(name);
        round.throughput(load, figures).await.context(name)?;
    }
    progress("connect storm");
    round.storm(figures).await.context("connect storm")?;
    progress("echo under bulk");
    round.busy_echo(figures).await.context("echo under bulk")?;
    round.running.check()?;
    round.running.stop().await;
    Ok(())
}

impl<'a> Round<'a> {
    async fn start(system: System, settings: &'a Settings<'a>) -> anyhow::Result<Self> {
        let chain = Chain::build(system.transits())?;
        let targets = [
            target(&chain, BULK_PORT, Service::Checked).await?,
            target(&chain, ECHO_PORT, Service::Echo).await?,
        ];
        let mut round = Self {
            system,
            settings,
            running: system.start(&chain, settings.warren).await?,
            bulk: chain.first().host("bulk")?,
            echo: chain.first().host("echo")?,
            _targets: targets,
            _chain: chain,
        };
        round.warm_up().await?;
        Ok(round)
    }

    /// Waits until an echo crosses, at most [`START_LIMIT`].
    async fn warm_up(&mut self) -> anyhow::Result<()> {
        let started = tokio::time::Instant::now();
        loop {
            let tried = self.echoes(1, self.time(), None).await;
            self.running.check()?;
            match tried {
                Ok(_) => return Ok(()),
                Err(error) if started.elapsed() > START_LIMIT => {
                    return Err(error.context("no echo crosses"));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn route(&self) -> Route {
        self.system.proxy().map_or(Route::Direct, Route::via)
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.settings.seconds.into())
    }

    /// Runs a load to its end on a thread beside the ingress.
    async fn load<T: Send + 'static>(
        &self,
        host: &Host,
        load: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    ) -> anyhow::Result<T> {
        let limit = self.time() + GRACE;
        let ended = tokio::time::timeout(limit, host.spawn(load)).await;
        ended.with_context(|| format!("it did not end within {limit:?}"))??
    }

    /// Echoes one after the other: with a rest between them on one connection, else each on its own.
    async fn echoes(
        &self,
        samples: u32,
        time: Duration,
        pause: Option<Duration>,
    ) -> anyhow::Result<echo::Report> {
        let plan = echo::Plan {
            route: self.route(),
            target: address(ECHO_PORT),
            samples,
            time,
            pause: pause.unwrap_or_default(),
            reconnect: pause.is_none(),
        };
        self.load(&self.echo, async move { echo::run(&plan).await })
            .await
    }

    async fn downloads(&self, connections: u32) -> anyhow::Result<bulk::Report> {
        let route = self.route();
        let plan = Plan {
            connections,
            grace: GRACE,
            ..Plan::new(route, address(BULK_PORT), Kind::Download, self.time())
        };
        self.load(&self.bulk, async move { bulk::run(&plan).await })
            .await
    }

    fn usage(&self) -> Vec<(Role, Usage)> {
        let (roles, pids): (Vec<Role>, Vec<u32>) = self.running.processes().into_iter().unzip();
        roles.into_iter().zip(procstat::usage(&pids)).collect()
    }

    async fn memory(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let before = self.usage();
        let (idle, route) = (self.settings.idle, self.route());
        let opening = async move { hold::open(&route, &address(ECHO_PORT), idle).await };
        let held = self.load(&self.echo, opening).await?;
        tokio::time::sleep(SETTLE).await;
        let after = self.usage();
        drop(held);
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        for role in Role::ALL {
            let rss = |usage: &Usage| usage.rss_bytes as f64;
            let (Some(old), Some(new)) = (mean(&before, role, rss), mean(&after, role, rss)) else {
                continue;
            };
            let each = (new - old) / 1024.0 / f64::from(idle);
            let mut record = |held, value| {
                figures.record(self.system, Figure::Memory(role, held), value);
            };
            record(Held::Before, mib(old));
            record(Held::Idle, mib(new));
            record(Held::Each, each);
        }
        Ok(())
    }

    async fn connect_echo(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let report = self.echoes(ECHO_SAMPLES, self.time(), None).await?;
        figures.record(self.system, Figure::EchoMedian, report.p50_us);
        figures.record(self.system, Figure::EchoTail, report.p99_us);
        Ok(())
    }

    async fn throughput(&self, load: Load, figures: &mut Figures) -> anyhow::Result<()> {
        let (report, costs) = self.download(load.connections()).await?;
        let mut record = |figure, value| figures.record(self.system, figure, value);
        record(Figure::Throughput(load), report.gbit_per_second);
        if load == Load::Eight {
            record(Figure::GapEight, report.longest_gap_ms);
        }
        for (payer, cost) in costs {
            record(Figure::Cpu(load, payer), cost);
        }
        Ok(())
    }

    async fn download(&self, connections: u32) -> anyhow::Result<(bulk::Report, Costs)> {
        let (before, machine_before) = (self.usage(), procstat::machine_cpu_seconds());
        let report = self.downloads(connections).await?;
        let (after, machine_after) = (self.usage(), procstat::machine_cpu_seconds());
        ensure!(report.bytes > 0, "nothing arrived in {:?}", self.time());
        let gigabytes = report.bytes as f64 / 1e9;
        let costs = costs(&before, &after, gigabytes, machine_after - machine_before);
        Ok((report, costs))
    }

    async fn storm(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let plan = storm::Plan {
            route: self.route(),
            target: address(ECHO_PORT),
            concurrent: STORM_WIDTH,
            connections: STORM_CONNECTIONS,
            time: self.time(),
        };
        let storm = async move { Ok(storm::run(&plan).await) };
        let report = self.load(&self.echo, storm).await?;
        figures.record(
            self.system,
            Figure::StormRate,
            report.connections_per_second,
        );
        figures.record(self.system, Figure::StormFailed, report.failed as f64);
        Ok(())
    }

    async fn busy_echo(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let echoes = async {
            tokio::time::sleep(BULK_LEAD).await;
            // Ends before the download does: a second for the lead and the last echo.
            let time = self.time().saturating_sub(Duration::from_secs(1));
            self.echoes(MANY, time, Some(ECHO_PAUSE)).await
        };
        let (bulk, echoes) = tokio::join!(self.downloads(1), echoes);
        bulk.context("the download beside it")?;
        let echoes = echoes?;
        figures.record(self.system, Figure::BusyEchoMedian, echoes.p50_us / 1e3);
        figures.record(self.system, Figure::BusyEchoTail, echoes.p99_us / 1e3);
        Ok(())
    }
}

/// CPU seconds per GB, by who spent them.
type Costs = Vec<(Payer, f64)>;

fn costs(before: &[(Role, Usage)], after: &[(Role, Usage)], gigabytes: f64, machine: f64) -> Costs {
    let cpu = |usage: &Usage| usage.cpu_seconds;
    let total = |all: &[(Role, Usage)]| all.iter().map(|(_, usage)| cpu(usage)).sum::<f64>();
    let roles = Role::ALL.into_iter().filter_map(|role| {
        let spent = mean(after, role, cpu)? - mean(before, role, cpu)?;
        Some((Payer::Role(role), spent / gigabytes))
    });
    let mut costs: Costs = roles.collect();
    // The kernel has no processes of its own.
    if !after.is_empty() {
        costs.push((Payer::All, (total(after) - total(before)) / gigabytes));
    }
    costs.push((Payer::Machine, machine / gigabytes));
    costs
}

/// The average over the processes of a role; `None` if it has none.
fn mean(all: &[(Role, Usage)], role: Role, value: impl Fn(&Usage) -> f64) -> Option<f64> {
    let values: Vec<f64> = all
        .iter()
        .filter(|(other, _)| *other == role)
        .map(|(_, usage)| value(usage))
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn address(port: u16) -> Target {
    Target::Address(SocketAddr::from((TARGET, port)))
}

/// A server behind the exit, on a thread of its own.
async fn target(chain: &Chain, port: u16, service: Service) -> anyhow::Result<Host> {
    let host = chain.last().host("target")?;
    let address = SocketAddr::from((TARGET, port));
    serve::open(&host, address, service, &Arc::default(), |_, _| {}).await?;
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(cpu_seconds: f64) -> Usage {
        Usage {
            cpu_seconds,
            rss_bytes: 0,
        }
    }

    #[test]
    fn transits_are_averaged_and_the_sum_counts_all() {
        let roles = [Role::Ingress, Role::Transit, Role::Transit, Role::Exit];
        let before = roles.map(|role| (role, usage(1.0)));
        let spent = [4.0, 1.0, 3.0, 2.0];
        let after: Vec<_> = std::iter::zip(roles, spent)
            .map(|(role, spent)| (role, usage(1.0 + spent)))
            .collect();
        assert_eq!(
            costs(&before, &after, 2.0, 20.0),
            [
                (Payer::Role(Role::Ingress), 2.0),
                (Payer::Role(Role::Transit), 1.0),
                (Payer::Role(Role::Exit), 1.0),
                (Payer::All, 5.0),
                (Payer::Machine, 10.0),
            ]
        );
        assert_eq!(costs(&[], &[], 2.0, 20.0), [(Payer::Machine, 10.0)]);
    }
}

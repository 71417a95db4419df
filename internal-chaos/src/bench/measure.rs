//! One round of one system: start it in a fresh chain, run every load, stop it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::figures::{Figure, Figures};
use super::system::{Role, Running, System};
use crate::chain::{Chain, TARGET};
use crate::process::{Daemon, command_in, finished, output};
use crate::procstat::{self, Usage};
use crate::workload::{bulk, echo, storm};

const BULK_PORT: u16 = 7001;
const ECHO_PORT: u16 = 7002;

/// Time-outs of loads are their own length and this: start, connects and draining.
const GRACE: Duration = Duration::from_secs(60);

/// A proxy that does not carry an echo by then never will.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Samples of connect + echo; the 99th percentile is then the tenth from the end.
const ECHO_SAMPLES: u32 = 1_000;

/// Rest between echoes under bulk, so that they sample the load instead of adding to it.
const ECHO_PAUSE_MS: u32 = 5;

/// Echoes under bulk begin when the download is past its start.
const BULK_LEAD: Duration = Duration::from_millis(500);

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

/// A started system with its targets. Fields drop in order: processes before namespaces.
struct Round<'a> {
    system: System,
    settings: &'a Settings<'a>,
    this: std::path::PathBuf,
    running: Running,
    _targets: Vec<Daemon>,
    _folder: TempDir,
    chain: Chain,
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
    progress("1 connection");
    round
        .throughput_one(figures)
        .await
        .context("1 connection")?;
    progress("8 connections");
    round
        .throughput_eight(figures)
        .await
        .context("8 connections")?;
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
        let this = std::env::current_exe().context("cannot find this program's file")?;
        let chain = Chain::build(system.transits())?;
        let folder = TempDir::with_prefix("chaos-bench-").context("cannot make a folder")?;
        let mut targets = Vec::new();
        for (option, port) in [("--bulk", BULK_PORT), ("--echo", ECHO_PORT)] {
            let mut command = command_in(chain.last(), &this);
            command.args(["workload", "serve", option, &target(port)]);
            targets.push(Daemon::start(&option[2..], command, folder.path())?);
        }
        let running = system.start(&chain, settings.warren).await?;
        let mut round = Self {
            system,
            settings,
            this,
            running,
            _targets: targets,
            _folder: folder,
            chain,
        };
        round.warm_up().await?;
        Ok(round)
    }

    /// Waits until an echo crosses, at most [`START_LIMIT`].
    async fn warm_up(&mut self) -> anyhow::Result<()> {
        let started = tokio::time::Instant::now();
        loop {
            let arguments = ["--samples", "1", "--reconnect"];
            let tried = self
                .load::<echo::Report>("echo", ECHO_PORT, &arguments)
                .await;
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

    /// A load's command in the first namespace.
    fn command(&self, load: &str, port: u16, arguments: &[&str]) -> Command {
        let mut command = command_in(self.chain.first(), &self.this);
        command.args(["workload", load, "--to", &target(port)]);
        if let Some(proxy) = self.system.proxy() {
            command.args(["--proxy", proxy]);
        }
        command.args(arguments);
        command
    }

    /// Runs a load to its end and reads its report.
    async fn load<R: DeserializeOwned>(
        &self,
        load: &str,
        port: u16,
        arguments: &[&str],
    ) -> anyhow::Result<R> {
        let limit = Duration::from_secs(u64::from(self.settings.seconds)) + GRACE;
        let printed = output(load, self.command(load, port, arguments), limit).await?;
        report(&printed)
    }

    fn seconds(&self) -> String {
        self.settings.seconds.to_string()
    }

    fn usage(&self) -> Vec<(Role, Usage)> {
        let (roles, pids): (Vec<Role>, Vec<u32>) = self.running.processes().into_iter().unzip();
        roles.into_iter().zip(procstat::usage(&pids)).collect()
    }

    async fn memory(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let before = self.usage();
        let idle = self.settings.idle;
        let arguments = ["--count", &idle.to_string()];
        let mut holder = self.command("hold", ECHO_PORT, &arguments);
        // Closing its input ends it.
        holder.stdin(Stdio::piped());
        holder.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = holder.spawn().context("cannot start the holder")?;
        let held = tokio::time::timeout(GRACE, first_line(&mut holder)).await;
        if !matches!(&held, Ok(Ok(line)) if !line.is_empty()) {
            let _ = holder.start_kill();
            finished("hold", holder.wait_with_output().await)?;
            bail!("{idle} connections did not open within {GRACE:?}");
        }
        tokio::time::sleep(SETTLE).await;
        let after = self.usage();
        drop(holder.stdin.take());
        let _ = tokio::time::timeout(GRACE, holder.wait()).await;
        let mib = |bytes: f64| bytes / f64::from(1 << 20);
        for role in Role::ALL {
            let rss = |usage: &Usage| usage.rss_bytes as f64;
            let (Some(old), Some(new)) = (mean(&before, role, rss), mean(&after, role, rss)) else {
                continue;
            };
            let each = (new - old) / 1024.0 / f64::from(idle);
            figures.record(self.system, Figure::MemoryBefore(role), mib(old));
            figures.record(self.system, Figure::MemoryHeld(role), mib(new));
            figures.record(self.system, Figure::MemoryEach(role), each);
        }
        Ok(())
    }

    async fn connect_echo(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let samples = ECHO_SAMPLES.to_string();
        let seconds = self.seconds();
        let arguments = ["--reconnect", "--samples", &samples, "--seconds", &seconds];
        let report: echo::Report = self.load("echo", ECHO_PORT, &arguments).await?;
        figures.record(self.system, Figure::EchoMedian, report.p50_us);
        figures.record(self.system, Figure::EchoTail, report.p99_us);
        Ok(())
    }

    async fn throughput_one(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let (report, cost) = self.download("1").await?;
        let mut record = |figure, value| figures.record(self.system, figure, value);
        record(Figure::ThroughputOne, report.gbit_per_second);
        record(Figure::CpuOneMachine, cost.machine);
        for (role, each) in cost.roles {
            record(Figure::CpuOne(role), each);
        }
        if let Some(sum) = cost.sum {
            record(Figure::CpuOneSum, sum);
        }
        Ok(())
    }

    async fn throughput_eight(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let (report, cost) = self.download("8").await?;
        let mut record = |figure, value| figures.record(self.system, figure, value);
        record(Figure::ThroughputEight, report.gbit_per_second);
        record(Figure::GapEight, report.longest_gap_ms);
        record(Figure::CpuEightMachine, cost.machine);
        for (role, each) in cost.roles {
            record(Figure::CpuEight(role), each);
        }
        if let Some(sum) = cost.sum {
            record(Figure::CpuEightSum, sum);
        }
        Ok(())
    }

    async fn download(&self, connections: &str) -> anyhow::Result<(bulk::Report, Cost)> {
        let seconds = self.seconds();
        let arguments = ["--connections", connections, "--seconds", &seconds];
        let (before, machine_before) = (self.usage(), procstat::machine_cpu_seconds());
        let report: bulk::Report = self.load("download", BULK_PORT, &arguments).await?;
        let (after, machine_after) = (self.usage(), procstat::machine_cpu_seconds());
        ensure!(report.bytes > 0, "nothing arrived in {seconds} s");
        let gigabytes = report.bytes as f64 / 1e9;
        let cost = Cost::between(&before, &after, gigabytes, machine_after - machine_before);
        Ok((report, cost))
    }

    async fn storm(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let (seconds, connections) = (self.seconds(), STORM_CONNECTIONS.to_string());
        let arguments = ["--connections", &connections, "--seconds", &seconds];
        let report: storm::Report = self.load("storm", ECHO_PORT, &arguments).await?;
        figures.record(
            self.system,
            Figure::StormRate,
            report.connections_per_second,
        );
        figures.record(self.system, Figure::StormFailed, report.failed as f64);
        Ok(())
    }

    async fn busy_echo(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let seconds = self.seconds();
        let time = ["--seconds", &seconds];
        let bulk = self.load::<bulk::Report>("download", BULK_PORT, &time);
        let echoes = async {
            tokio::time::sleep(BULK_LEAD).await;
            // Ends before the download does: a second for the lead and the start of processes.
            let seconds = (self.settings.seconds - 1).to_string();
            let (samples, pause) = ("100000", ECHO_PAUSE_MS.to_string());
            let timing = ["--seconds", &seconds, "--pause-ms", &pause];
            let arguments = [&timing[..], &["--samples", samples]].concat();
            self.load::<echo::Report>("echo", ECHO_PORT, &arguments)
                .await
        };
        let (bulk, echoes) = tokio::join!(bulk, echoes);
        bulk.context("the download beside it")?;
        let echoes = echoes?;
        figures.record(self.system, Figure::BusyEchoMedian, echoes.p50_us / 1e3);
        figures.record(self.system, Figure::BusyEchoTail, echoes.p99_us / 1e3);
        Ok(())
    }
}

/// CPU seconds per GB.
#[derive(Debug, PartialEq)]
struct Cost {
    /// Per process of the role, on average.
    roles: Vec<(Role, f64)>,
    /// `None` if the system has no processes.
    sum: Option<f64>,
    machine: f64,
}

impl Cost {
    fn between(
        before: &[(Role, Usage)],
        after: &[(Role, Usage)],
        gigabytes: f64,
        machine: f64,
    ) -> Self {
        let cpu = |usage: &Usage| usage.cpu_seconds;
        let total = |all: &[(Role, Usage)]| all.iter().map(|(_, usage)| cpu(usage)).sum::<f64>();
        let roles = Role::ALL
            .into_iter()
            .filter_map(|role| {
                let spent = mean(after, role, cpu)? - mean(before, role, cpu)?;
                Some((role, spent / gigabytes))
            })
            .collect();
        Self {
            roles,
            sum: (!after.is_empty()).then(|| (total(after) - total(before)) / gigabytes),
            machine: machine / gigabytes,
        }
    }
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

fn target(port: u16) -> String {
    let address: Ipv4Addr = TARGET;
    SocketAddr::from((address, port)).to_string()
}

async fn first_line(child: &mut Child) -> anyhow::Result<String> {
    let stdout = child.stdout.as_mut().context("no output to read")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await?;
    Ok(line)
}

fn report<R: DeserializeOwned>(printed: &str) -> anyhow::Result<R> {
    serde_json::from_str(printed).with_context(|| format!("not a report: {printed}"))
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
        let cost = Cost::between(&before, &after, 2.0, 20.0);
        assert_eq!(
            cost,
            Cost {
                roles: vec![
                    (Role::Ingress, 2.0),
                    (Role::Transit, 1.0),
                    (Role::Exit, 1.0)
                ],
                sum: Some(5.0),
                machine: 10.0,
            }
        );
        let kernel = Cost::between(&[], &[], 2.0, 20.0);
        assert_eq!((kernel.roles.len(), kernel.sum), (0, None));
    }
}

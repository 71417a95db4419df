//! The command line: parse, run, exit code. SIGINT and SIGTERM drop whatever runs, and with it
//! every process and namespace that it owns.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use internal_chaos::bench::{self, BenchArgs};
use internal_chaos::condition;
use internal_chaos::drill::{self, DrillArgs};
use internal_chaos::fault::{self, FaultArgs};
use internal_chaos::relay::measure::{self, MeasureArgs};
use internal_chaos::relay::{self, RelayArgs};
use internal_chaos::report::{print, say};
use internal_chaos::scenario::links::{self, LinksArgs};
use internal_chaos::scenario::soak::{self, SoakArgs};
use internal_chaos::scenario::{self, RunArgs};
use internal_chaos::shares::{self, SharesArgs};
use internal_chaos::workload::{self, Workload};

/// Fault injection, workloads and benchmarks for a warren mesh.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure warren beside OpenSSH and kernel-forwarded TCP, in network namespaces.
    Bench(BenchArgs),
    /// Break a running mesh again and again, and measure what an application sees.
    Drill(DrillArgs),
    Run(RunArgs),
    Soak(SoakArgs),
    Links(LinksArgs),
    Shares(SharesArgs),
    /// List the scenarios of the library.
    List,
    /// List the named link conditions.
    Conditions,
    Relay(RelayArgs),
    RelayCheck(MeasureArgs),
    Fault(FaultArgs),
    /// Run one side of one load; every load is bounded in count and in time.
    #[command(subcommand)]
    Workload(Workload),
}

/// What a shell reports for a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One thread: the loads share a machine with what they measure, and children must be spawned
    // from the main thread because they die with the thread that made them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(run(cli.command));
            // A thread may be waiting for input that never ends.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(anyhow::Error::new(error).context("cannot start the runtime")),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            say(&format!("internal-chaos: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let work = async {
        match command {
            Command::Bench(args) => bench::run(&args).await,
            Command::Drill(args) => drill::run(&args).await,
            Command::Run(args) => scenario::run(&args).await,
            Command::Soak(args) => soak::run(&args).await,
            Command::Links(args) => links::run(&args).await,
            Command::Shares(args) => shares::run(&args).await,
            Command::List => scenario::list(),
            Command::Conditions => done(print(&condition::table())),
            Command::Relay(args) => done(relay::run(&args).await),
            Command::RelayCheck(args) => {
                // It ends by itself after at most a minute.
                let measured = tokio::task::spawn_blocking(move || measure::run(&args)).await??;
                done(print(&format!("{}\n", serde_json::to_string(&measured)?)))
            }
            Command::Fault(args) => done(fault::run(&args).await),
            Command::Workload(load) => done(workload::run(load).await),
        }
    };
    tokio::select! {
        done = work => done,
        _ = terminate.recv() => Ok(ExitCode::from(INTERRUPTED)),
        _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

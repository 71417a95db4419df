//! The `workload` subcommands. Each prints one JSON line; errors go to stderr.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::checked::{self, Kind};
use super::serve::{self, Service};
use super::socks::{Proxy, Route, Target};
use super::{bulk, echo, hold, storm};
use crate::report::print;
use crate::units::Rate;

/// One side of one load.
#[derive(Debug, Subcommand)]
pub enum Workload {
    /// Serve loads and echoes; prints where as JSON, then serves until the time is over.
    Serve {
        /// Serve `download` here; port 0 picks one. The same as --checked.
        #[arg(long, value_name = "ADDRESS")]
        bulk: Option<SocketAddr>,
        /// Echo here; port 0 picks one.
        #[arg(long, value_name = "ADDRESS")]
        echo: Option<SocketAddr>,
        /// Serve loads that check themselves here; port 0 picks one.
        #[arg(long, value_name = "ADDRESS")]
        checked: Option<SocketAddr>,
        /// End after this many seconds.
        #[arg(long, default_value_t = 3_600)]
        seconds: u64,
    },
    /// Transfer the pattern and check every byte of it.
    Download(Download),
    /// Measure round trips of one byte.
    Echo(Echo),
    /// Open short connections as fast as possible: connect, echo a byte, close.
    Storm(Storm),
    /// A load that checks itself and reports what broke instead of failing.
    Checked(Checked),
    /// Hold idle connections; prints `{"held":N}`, then waits for the end of its input.
    Hold {
        #[command(flatten)]
        path: Path,
        /// Connections to hold.
        #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
        count: u32,
        /// Let go after this many seconds at most.
        #[arg(long, default_value_t = 60.0)]
        seconds: f64,
    },
}

/// Transfer the pattern and check every byte of it.
#[derive(Debug, Args)]
pub struct Download {
    #[command(flatten)]
    path: Path,
    /// Transfers at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    connections: u32,
    /// Bytes of each transfer; must arrive whole. Default: as many as the time allows.
    #[arg(long, conflicts_with = "seconds")]
    bytes: Option<u64>,
    /// Seconds until each transfer ends.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Send instead of receive.
    #[arg(long)]
    upload: bool,
    /// Where in the pattern the first transfer begins.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Measure round trips of one byte.
#[derive(Debug, Args)]
pub struct Echo {
    #[command(flatten)]
    path: Path,
    /// Round trips, one after the other.
    #[arg(long, default_value_t = 500)]
    samples: u32,
    /// Seconds until it ends, whatever the samples.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Milliseconds of rest between two samples.
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// Open a connection for every sample and count its connect.
    #[arg(long)]
    reconnect: bool,
}

/// Open short connections as fast as possible: connect, echo a byte, close.
#[derive(Debug, Args)]
pub struct Storm {
    #[command(flatten)]
    path: Path,
    /// Connections under way at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    concurrent: u32,
    /// Connections in all.
    #[arg(long, default_value_t = 20_000)]
    connections: u32,
    /// Seconds until it ends, whatever the connections.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// A load that checks itself and reports what broke instead of failing.
#[derive(Debug, Args)]
pub struct Checked {
    #[command(flatten)]
    path: Path,
    /// What each connection does.
    #[arg(long, value_enum, default_value = "both")]
    kind: Kind,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// Connections under way at once.
    #[arg(long, default_value_t = 1_000)]
    concurrent: u32,
    /// Bytes of each connection and direction, at most.
    #[arg(long, default_value_t = u64::MAX)]
    bytes: u64,
    /// Seconds until senders end and no connection begins.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Of each stream, such as 20mbit. Default: as fast as it goes.
    #[arg(long)]
    rate: Option<Rate>,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Where a load goes.
#[derive(Debug, Args)]
pub struct Path {
    /// The target: an address or name, and a port.
    #[arg(long, value_name = "HOST:PORT")]
    to: Target,
    /// The SOCKS5 proxy to go through: [user:password@]address:port. Default: directly.
    #[arg(long)]
    proxy: Option<Proxy>,
}

impl Path {
    fn split(self) -> (Route, Target) {
        (self.proxy.map_or(Route::Direct, Route::Via), self.to)
    }
}

/// Runs one load to its end.
pub async fn run(load: Workload) -> anyhow::Result<()> {
    match load {
        Workload::Serve {
            bulk,
            echo,
            checked,
            seconds,
        } => {
            let bound = Bound {
                bulk,
                echo,
                checked,
            };
            serve(bound, Duration::from_secs(seconds)).await
        }
        Workload::Download(load) => load.run().await,
        Workload::Echo(load) => load.run().await,
        Workload::Storm(load) => load.run().await,
        Workload::Checked(load) => load.run().await,
        Workload::Hold {
            path,
            count,
            seconds,
        } => hold(path, count, duration(seconds)?).await,
    }
}

/// How much longer than its time a transfer may take to drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// The longest that a transfer without a time may take.
const LONGEST: f64 = 600.0;

impl Download {
    async fn run(self) -> anyhow::Result<()> {
        let (route, target) = self.path.split();
        let kind = match self.upload {
            true => Kind::Upload,
            false => Kind::Download,
        };
        let time = duration(self.bytes.map_or(self.seconds, |_| LONGEST))?;
        let plan = checked::Plan {
            connections: self.connections,
            bytes: self.bytes.unwrap_or(u64::MAX),
            grace: DRAIN_LIMIT,
            seed: self.seed,
            ..checked::Plan::new(route, target, kind, time)
        };
        tell(&bulk::run(&plan).await?)
    }
}

impl Echo {
    async fn run(self) -> anyhow::Result<()> {
        let (route, target) = self.path.split();
        let plan = echo::Plan {
            route,
            target,
            samples: self.samples,
            time: duration(self.seconds)?,
            pause: Duration::from_millis(self.pause_ms),
            reconnect: self.reconnect,
        };
        tell(&echo::run(&plan).await?)
    }
}

impl Storm {
    async fn run(self) -> anyhow::Result<()> {
        let (route, target) = self.path.split();
        let plan = storm::Plan {
            route,
            target,
            concurrent: self.concurrent,
            connections: self.connections,
            time: duration(self.seconds)?,
        };
        tell(&storm::run(&plan).await)
    }
}

impl Checked {
    async fn run(self) -> anyhow::Result<()> {
        let (route, target) = self.path.split();
        let report = checked::run(&checked::Plan {
            connections: self.connections,
            concurrent: self.concurrent,
            bytes: self.bytes,
            rate: self.rate,
            seed: self.seed,
            ..checked::Plan::new(route, target, self.kind, duration(self.seconds)?)
        })
        .await;
        tell(&report)?;
        ensure!(report.damaged.is_empty(), "data was lost or altered");
        Ok(())
    }
}

/// Where servers listen: as asked for, then as bound.
#[derive(Serialize)]
struct Bound {
    bulk: Option<SocketAddr>,
    echo: Option<SocketAddr>,
    checked: Option<SocketAddr>,
}

async fn serve(mut bound: Bound, time: Duration) -> anyhow::Result<()> {
    let mut serving = JoinSet::new();
    for (address, service) in [
        (&mut bound.bulk, Service::Checked),
        (&mut bound.echo, Service::Echo),
        (&mut bound.checked, Service::Checked),
    ] {
        let Some(wanted) = *address else { continue };
        let listener = TcpListener::bind(wanted)
            .await
            .with_context(|| format!("cannot listen on {wanted}"))?;
        *address = Some(listener.local_addr()?);
        serving.spawn(serve::serve(listener, service, Arc::default(), |_, _| {}));
    }
    ensure!(
        !serving.is_empty(),
        "nothing to serve: give --bulk, --echo or --checked"
    );
    tell(&bound)?;
    match tokio::time::timeout(time, serving.join_next()).await {
        Ok(Some(failed)) => Ok(failed??),
        Ok(None) | Err(_) => Ok(()),
    }
}

async fn hold(path: Path, count: u32, time: Duration) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Held {
        held: usize,
    }
    let (route, target) = path.split();
    let held = hold::open(&route, &target, count).await?;
    tell(&Held { held: held.len() })?;
    // Input is data to skip; its end is the signal. Time over is as good an end.
    let mut end = Vec::new();
    let _ = tokio::time::timeout(time, tokio::io::stdin().read_to_end(&mut end)).await;
    Ok(())
}

fn duration(seconds: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(seconds).with_context(|| format!("--seconds {seconds} is no time"))
}

fn tell(report: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string(report)?))
}

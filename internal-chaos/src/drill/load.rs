//! The load of one repeat: transfers both ways and new connections at a steady pace, all through
//! the ingress's proxy to targets behind both exits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::connects::CADENCE;
use super::site::{Node, Site, TARGET};
use crate::host::Host;
use crate::spot::INSIDE;
use crate::units::Rate;
use crate::window::beat;
use crate::workload::attempt::paced;
use crate::workload::checked::{self, Ending, Kind, Ledger, Watch, carry};
use crate::workload::serve::{self, Service};
use crate::workload::socks::CONNECT_LIMIT;
use crate::workload::{Attempt, Route, Target};

const BULK_PORT: u16 = 7001;
const ECHO_PORT: u16 = 7002;

/// A load whose every connection carries data before this is over.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Reads by which a transfer counts as flowing.
const FLOWING: u64 = 5;

/// The longest that a transfer may take to end once told: what is under way is a few MiB.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Rest between two looks at the transfers.
const POLL: Duration = Duration::from_millis(5);

/// The threads that carry the load, and the target servers. Threads of their own, so that new
/// connections are timed right while transfers keep their thread busy.
#[derive(Debug)]
pub struct Range {
    transfers: Host,
    connects: Host,
    clock: Host,
    _bulk: Host,
    _echo: Host,
    ledger: Arc<Ledger>,
}

/// What to load the mesh with.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub downloads: u32,
    pub uploads: u32,
    /// Bytes per second of each direction, all its transfers together; `None` is as much as goes.
    pub rate: Option<u64>,
    /// The first transfer's; the others count up.
    pub seed: u64,
    /// Whether arrivals are kept, which takes memory with time.
    pub remember: bool,
}

/// One open connection, in one direction.
#[derive(Debug)]
struct Transfer {
    kind: Kind,
    watch: Arc<Watch>,
    /// Gives how it ended, and when the client's socket did.
    carrying: JoinHandle<(Ending, Instant)>,
}

/// A load under way. Dropping it ends it.
#[derive(Debug)]
pub struct Load {
    transfers: Vec<Transfer>,
    connects: JoinHandle<Vec<Attempt>>,
    clock: JoinHandle<Vec<Instant>>,
    enough: Arc<AtomicBool>,
}

/// What became of a load.
#[derive(Debug)]
pub struct Finished {
    pub transfers: Vec<Ended>,
    /// Ascending by their ends.
    pub attempts: Vec<Attempt>,
    /// Every millisecond in which the machine ran a thread that does nothing else.
    pub beats: Vec<Instant>,
}

/// A transfer that has ended.
#[derive(Debug)]
pub struct Ended {
    pub kind: Kind,
    pub watch: Arc<Watch>,
    /// `None`: told to end, it did not in time.
    pub ending: Option<Ending>,
    /// When the client's socket ended.
    pub at: Instant,
}

/// Where transfers go.
pub fn bulk_address() -> SocketAddr {
    SocketAddr::from((TARGET, BULK_PORT))
}

/// Where new connections go.
pub fn echo_address() -> SocketAddr {
    SocketAddr::from((TARGET, ECHO_PORT))
}

impl Range {
    /// Starts the target servers.
    pub async fn open(site: &Site) -> anyhow::Result<Self> {
        let (ingress, target) = (site.spot(Node::Ingress), site.target());
        let (bulk, echo) = (target.host("bulk")?, target.host("echo")?);
        let ledger = Arc::<Ledger>::default();
        for (host, address, service) in [
            (&bulk, bulk_address(), Service::Checked),
            (&echo, echo_address(), Service::Echo),
        ] {
            serve::open(host, address, service, &ledger, |_, _| {}).await?;
        }
        Ok(Self {
            transfers: ingress.host("transfers")?,
            connects: ingress.host("connects")?,
            clock: ingress.host("clock")?,
            _bulk: bulk,
            _echo: echo,
            ledger,
        })
    }

    /// Opens all connections of a plan and waits until each of them carries data.
    pub async fn load(&self, plan: Plan) -> anyhow::Result<Load> {
        let route = Route::via(INSIDE.socks);
        let enough = Arc::<AtomicBool>::default();
        let echo = Target::Address(echo_address());
        let connects = paced(
            route.clone(),
            echo,
            CADENCE,
            CONNECT_LIMIT,
            Arc::clone(&enough),
        );
        let mut load = Load {
            transfers: Vec::new(),
            connects: self.connects.spawn(connects),
            clock: self.clock.spawn(beat(Arc::clone(&enough))),
            enough,
        };
        let directions = [
            (Kind::Download, plan.downloads),
            (Kind::Upload, plan.uploads),
        ];
        for (kind, count) in directions {
            let each = plan.rate.map(|rate| 8 * rate / u64::from(count.max(1)));
            for _ in 0..count {
                let target = Target::Address(bulk_address());
                let seed = plan.seed.wrapping_add(load.transfers.len() as u64);
                let checked = checked::Plan {
                    rate: each.map(|bits| Rate::bits(bits.max(1))),
                    ledger: Some(Arc::clone(&self.ledger)),
                    ..checked::Plan::new(route.clone(), target, kind, Duration::MAX)
                };
                let watch = Arc::new(match plan.remember {
                    true => Watch::remembering(),
                    false => Watch::default(),
                });
                self.ledger.announce(seed, &watch);
                let stream = self.connect(&route).await?;
                let watched = Arc::clone(&watch);
                let carrying = self.transfers.spawn(async move {
                    let seen = carry(&checked, seed, stream, &watched).await;
                    (seen.ending, Instant::now())
                });
                load.transfers.push(Transfer {
                    kind,
                    watch,
                    carrying,
                });
            }
        }
        load.await_flow().await?;
        Ok(load)
    }

    async fn connect(&self, route: &Route) -> anyhow::Result<TcpStream> {
        let route = route.clone();
        let target = Target::Address(bulk_address());
        let connecting = self
            .transfers
            .spawn(async move { route.connect(&target).await });
        connecting.await?.context("a transfer cannot begin")
    }
}

impl Load {
    async fn await_flow(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let idle = || {
            let transfers = self.transfers.iter();
            transfers.filter(|it| it.watch.reads() < FLOWING).count()
        };
        while idle() > 0 {
            ensure!(
                started.elapsed() < START_LIMIT,
                "{} of {} transfers carry nothing after {START_LIMIT:?}",
                idle(),
                self.transfers.len()
            );
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until all transfers have ended by themselves, at most until `limit`.
    pub async fn await_end(&self, limit: Instant) {
        let ended = || {
            let mut transfers = self.transfers.iter();
            transfers.all(|transfer| transfer.carrying.is_finished())
        };
        while !ended() && Instant::now() < limit {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Bytes that all transfers carried so far.
    pub fn bytes(&self) -> u64 {
        let transfers = self.transfers.iter();
        transfers.map(|transfer| transfer.watch.bytes()).sum()
    }

    /// Tells everything to end, and waits for it.
    pub async fn finish(mut self) -> anyhow::Result<Finished> {
        self.tell_end();
        let limit = tokio::time::Instant::now() + DRAIN_LIMIT;
        let mut ended = Vec::new();
        for mut transfer in std::mem::take(&mut self.transfers) {
            let carrying = tokio::time::timeout_at(limit, &mut transfer.carrying).await;
            let (ending, at) = match carrying {
                Ok(joined) => {
                    let (ending, at) = joined.context("a transfer panicked")?;
                    (Some(ending), at)
                }
                Err(_) => {
                    transfer.carrying.abort();
                    (None, Instant::now())
                }
            };
            ended.push(Ended {
                kind: transfer.kind,
                watch: transfer.watch,
                ending,
                at,
            });
        }
        let connects = &mut self.connects;
        let attempts = connects.await.context("a new connection panicked")?;
        let clock = &mut self.clock;
        let beats = clock.await.context("the clock panicked")?;
        Ok(Finished {
            transfers: ended,
            attempts,
            beats,
        })
    }

    fn tell_end(&self) {
        self.enough.store(true, Ordering::Relaxed);
        for transfer in &self.transfers {
            transfer.watch.stop();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.tell_end();
        for transfer in &self.transfers {
            transfer.carrying.abort();
        }
        self.connects.abort();
        self.clock.abort();
    }
}

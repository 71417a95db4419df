//! The load of one repeat: transfers both ways and new connections at a steady pace, all through
//! the ingress's proxy to targets behind both exits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::connects::{self, Attempt};
use super::site::{Node, Site, TARGET};
use super::transfer::{Book, Ending, Transfer};
use crate::host::Host;
use crate::mesh::SOCKS;
use crate::workload::bulk::{Direction, Request};
use crate::workload::serve::{Server, Service};
use crate::workload::socks::CONNECT_LIMIT;
use crate::workload::socks::{Proxy, Route, Target};

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

/// How often the clock is looked at.
const BEAT: Duration = Duration::from_millis(1);

/// The threads that carry the load, and the target servers. Threads of their own, so that new
/// connections are timed right while transfers keep their thread busy.
#[derive(Debug)]
pub struct Range {
    transfers: Host,
    connects: Host,
    clock: Host,
    _bulk: Host,
    _echo: Host,
    book: Arc<Book>,
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

/// Gives how a transfer ended, and when the client's socket did.
type Carrying = JoinHandle<(Ending, Instant)>;

/// A load under way. Dropping it ends it.
#[derive(Debug)]
pub struct Load {
    transfers: Vec<(Arc<Transfer>, Carrying)>,
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
    pub transfer: Arc<Transfer>,
    pub ending: Ending,
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
        let ingress = site.namespace(Node::Ingress);
        let (bulk, echo) = (Host::start(site.target())?, Host::start(site.target())?);
        let book = Arc::<Book>::default();
        let listener = bulk.spawn(TcpListener::bind(bulk_address())).await?;
        let listener = listener.context("the target cannot listen")?;
        bulk.spawn(serve(listener, Arc::clone(&book)));
        let server = echo
            .spawn(Server::bind(echo_address(), Service::Echo))
            .await?;
        echo.spawn(server.context("the target cannot listen")?.run());
        Ok(Self {
            transfers: Host::start(ingress)?,
            connects: Host::start(ingress)?,
            clock: Host::start(ingress)?,
            _bulk: bulk,
            _echo: echo,
            book,
        })
    }

    /// Opens all connections of a plan and waits until each of them carries data.
    pub async fn load(&self, plan: Plan) -> anyhow::Result<Load> {
        self.book.clear();
        let proxy = Proxy {
            address: SOCKS.parse().context("the address of the proxy")?,
            credentials: None,
        };
        let route = Route::Via(proxy);
        let enough = Arc::<AtomicBool>::default();
        let echo = Target::Address(echo_address());
        let connects = connects::run(
            route.clone(),
            echo,
            connects::CADENCE,
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
            (Direction::Download, plan.downloads),
            (Direction::Upload, plan.uploads),
        ];
        for (direction, count) in directions {
            let each = plan.rate.map(|rate| rate / u64::from(count.max(1)));
            for _ in 0..count {
                let seed = plan.seed.wrapping_add(load.transfers.len() as u64);
                let transfer = Arc::new(Transfer::new(direction, seed, each, plan.remember));
                self.book.enter(&transfer);
                let stream = self.connect(&route).await?;
                let carried = Arc::clone(&transfer);
                let carrying = self.transfers.spawn(async move {
                    let ending = carried.carry(stream).await;
                    (ending, Instant::now())
                });
                load.transfers.push((transfer, carrying));
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

/// Answers the transfers of `book`.
async fn serve(listener: TcpListener, book: Arc<Book>) -> anyhow::Result<()> {
    let mut serving = JoinSet::<anyhow::Result<()>>::new();
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let book = Arc::clone(&book);
        serving.spawn(async move {
            let mut wire = [0; Request::LENGTH];
            stream.read_exact(&mut wire).await?;
            let transfer = Request::decode(&wire).and_then(|request| book.find(request));
            let transfer = transfer.context("nobody announced this transfer")?;
            Ok(transfer.serve(stream).await?)
        });
        // What breaks is the client's to report; here only the ended tasks are let go.
        while serving.try_join_next().is_some() {}
    }
}

/// Looks at the clock until `enough`.
pub async fn beat(enough: Arc<AtomicBool>) -> Vec<Instant> {
    let mut beats = Vec::new();
    while !enough.load(Ordering::Relaxed) {
        tokio::time::sleep(BEAT).await;
        beats.push(Instant::now());
    }
    beats
}

impl Load {
    async fn await_flow(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let idle = || {
            let transfers = self.transfers.iter();
            transfers
                .filter(|(transfer, _)| transfer.reads() < FLOWING)
                .count()
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
            let mut carrying = self.transfers.iter();
            carrying.all(|(_, carrying)| carrying.is_finished())
        };
        while !ended() && Instant::now() < limit {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Bytes that all transfers carried so far.
    pub fn bytes(&self) -> u64 {
        let transfers = self.transfers.iter();
        transfers.map(|(transfer, _)| transfer.bytes()).sum()
    }

    /// Tells everything to end, and waits for it.
    pub async fn finish(mut self) -> anyhow::Result<Finished> {
        self.tell_end();
        let limit = tokio::time::Instant::now() + DRAIN_LIMIT;
        let mut ended = Vec::new();
        for (transfer, mut carrying) in std::mem::take(&mut self.transfers) {
            let (ending, at) = match tokio::time::timeout_at(limit, &mut carrying).await {
                Ok(joined) => joined.context("a transfer panicked")?,
                Err(_) => {
                    carrying.abort();
                    (Ending::Hung, Instant::now())
                }
            };
            ended.push(Ended {
                transfer,
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
        for (transfer, _) in &self.transfers {
            transfer.stop();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.tell_end();
        for (_, carrying) in &self.transfers {
            carrying.abort();
        }
        self.connects.abort();
        self.clock.abort();
    }
}

//! One repeat: load a whole mesh, break something, watch, mend, and see the mesh whole again.
//!
//! ```text
//!  load flows   fault            mended                 load ends   mesh whole
//! ──────┬────────┬─────────────────┬──────────────────────┬───────────┬──────►
//!       │ ≥300ms │     1.2 s       │                      │           │
//!             ▐◄─┴── window: 100 ms before to 2.5 s after ──►▌
//! ```
//!
//! A fault of an exit lasts longer: until the connections that ended in it have ended at the
//! client, because that is what is measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use tempfile::TempDir;

use super::connects::{Connects, millis};
use super::fault::{self, Class, Fault};
use super::heartbeat::{Heartbeat, heartbeat_name, keys};
use super::leak::{self, Leaks};
use super::load::{Ended, Load, Plan, Range, bulk_address, echo_address};
use super::site::{Node, Site, WHOLE};
use crate::mesh::Agents;
use crate::procstat;
use crate::window::{AFTER, Window};
use crate::workload::checked::{Ending, Kind};

/// The load flows so long before the fault, at least: several heartbeats, and the window's beginning.
const LEAD: Duration = Duration::from_millis(300);

/// The fault strikes within so long after that, at random, because what the mesh needs to notice
/// depends on the place between two heartbeats. One of the default ones.
const PHASE: Duration = Duration::from_millis(100);

/// How long a fault lasts: several times what the mesh should need, and short enough that the
/// window sees the way back, too.
const LASTS: Duration = Duration::from_millis(1_200);

/// The longest that connections which ended in a dead exit may take to end at the client.
const END_LIMIT: Duration = Duration::from_secs(10);

/// The longest that a mended mesh may take to be whole: a dial that began during the fault has 5 s,
/// the next comes after 1 s, and the link is told to others 1 s later.
const HEAL_LIMIT: Duration = Duration::from_secs(12);

/// Repeats in one mesh. The agents remember flaps of a link for a minute and hold it back longer
/// each time; the first fault hits one transit, the second the other, so none has flapped before.
const REPEATS_PER_MESH: u32 = 2;

/// What one repeat breaks, under which load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub heartbeat: Heartbeat,
    pub fault: Fault,
    pub downloads: u32,
    pub uploads: u32,
    /// Bytes per second of each direction; `None` is as much as goes.
    pub rate: Option<u64>,
    pub seed: u64,
}

/// What an application saw of one fault.
#[derive(Clone, Debug, Serialize)]
pub struct Repeat {
    pub fault: Fault,
    pub heartbeat: String,
    pub downloads: u32,
    pub uploads: u32,
    pub seed: u64,
    /// When it struck.
    #[serde(skip)]
    pub struck_at: Instant,
    pub victim: &'static str,
    pub path_before: Vec<&'static str>,
    /// At the end of the window; absent if no transfer was open then.
    pub path_after: Option<Vec<&'static str>>,
    pub transfers: Vec<Seen>,
    pub connects: Connects,
    pub leaks: Leaks,
    /// The longest time inside the window in which a thread that only watches the clock was not run:
    /// what the machine itself did to all figures.
    pub pause_ms: f64,
    /// For what part of the load's time the agent that waited most was ready to run and had no core.
    pub waited_percent: f64,
    /// How long fresh agents took until the mesh was whole; absent if these had served before.
    pub started_ms: Option<f64>,
    /// From the mending until the mesh was seen whole. The first look is after the load.
    pub healed_ms: f64,
}

/// One transfer.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    pub direction: &'static str,
    pub bytes: u64,
    /// The longest time inside the window in which its receiver got nothing; absent if it did not
    /// end complete.
    pub stall_ms: Option<f64>,
    /// When that began, since the fault; negative is before it.
    pub stall_begun_ms: Option<f64>,
    pub end: End,
    pub detail: Option<String>,
    /// From the fault to the end of the client's socket, if it ended early.
    pub ended_after_ms: Option<f64>,
    /// When how many bytes arrived.
    #[serde(skip)]
    pub arrivals: Vec<(Instant, usize)>,
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Complete,
    /// The connection ended early.
    Broken,
    /// Bytes were lost or altered.
    Damaged,
    /// Told to end, it did not in time.
    Hung,
}

/// The place of all repeats. Fields drop in order: processes, sockets, namespaces, files.
#[derive(Debug)]
pub struct Drill {
    pub(super) agents: Agents,
    /// What the running agents are, if they run.
    mesh: Option<Used>,
    pub(super) range: Range,
    pub(super) site: Site,
    folder: TempDir,
}

/// A running mesh, and how often it was broken.
#[derive(Clone, Copy, Debug)]
struct Used {
    heartbeat: Heartbeat,
    repeats: u32,
    /// How long it took to be whole, until that was told.
    started: Option<Duration>,
}

impl Drill {
    /// Builds the site, makes certificates and proves that leaks are seen. No agent runs yet.
    pub async fn open(warren: &Path) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("chaos-drill-").context("cannot make a folder")?;
        let site = Site::build()?;
        fault::prepare(&site)?;
        let range = Range::open(&site).await?;
        leak::watch(&site, echo_address()).await?;
        Ok(Self {
            agents: Agents::prepare(warren, folder.path(), site.plans(), WHOLE).await?,
            mesh: None,
            range,
            site,
            folder,
        })
    }

    /// Where configurations and logs are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the agents, so that the next repeat has fresh ones.
    pub async fn end_mesh(&mut self) {
        self.mesh = None;
        self.agents.stop().await;
    }

    /// Breaks something once.
    pub async fn repeat(&mut self, settings: Settings) -> anyhow::Result<Repeat> {
        let mut mesh = self.mesh(settings.heartbeat).await?;
        let mut seen = self.watch_fault(settings).await;
        if let Ok(seen) = &mut seen {
            seen.started_ms = mesh.started.take().map(millis);
        }
        match &seen {
            // A path that was found grey is avoided for a while, which no endpoint tells.
            Ok(_) if mesh.repeats < REPEATS_PER_MESH && settings.fault != Fault::GreyTransit => {
                self.mesh = Some(mesh);
            }
            Ok(_) | Err(_) => self.end_mesh().await,
        }
        seen
    }

    async fn mesh(&mut self, heartbeat: Heartbeat) -> anyhow::Result<Used> {
        let used = self.mesh.take().filter(|used| used.heartbeat == heartbeat);
        if let Some(used) = used {
            let repeats = used.repeats + 1;
            return Ok(Used { repeats, ..used });
        }
        self.agents.stop().await;
        let begun = Instant::now();
        self.agents.start(&keys(heartbeat)).await?;
        Ok(Used {
            heartbeat,
            repeats: 1,
            started: Some(begun.elapsed()),
        })
    }

    /// The way that most connections to the target take now: transit, exit.
    async fn path_in_use(&self) -> anyhow::Result<Vec<Node>> {
        let streams = self
            .agents
            .ask(Node::Ingress as usize, "/api/streams")
            .await?;
        let mut uses: BTreeMap<Vec<Node>, usize> = BTreeMap::new();
        for stream in streams.as_array().context("not a list of streams")? {
            if stream["target"] != bulk_address().to_string() {
                continue;
            }
            let path = stream["path"].as_array().context("a stream has no path")?;
            let agents = path.iter().map(|id| self.agents.find(id));
            let nodes: Option<Vec<Node>> = agents.map(|it| Some(Node::ALL[it?])).collect();
            let nodes = nodes.context("a path names a stranger")?;
            *uses.entry(nodes).or_default() += 1;
        }
        let most = uses.into_iter().max_by_key(|(_, count)| *count);
        let (path, _) = most.context("no connection is open")?;
        Ok(path)
    }

    /// How long each agent has waited for a core since its start, by its process id.
    fn waits(&self) -> BTreeMap<u32, Duration> {
        let pids = self.agents.pids().into_iter().flatten();
        pids.filter_map(|pid| Some((pid, procstat::waited(pid)?)))
            .collect()
    }

    async fn watch_fault(&mut self, settings: Settings) -> anyhow::Result<Repeat> {
        let mut random = StdRng::seed_from_u64(settings.seed);
        leak::take(&self.site)?;
        let load = self.range.load(Plan {
            downloads: settings.downloads,
            uploads: settings.uploads,
            rate: settings.rate,
            seed: random.random(),
            remember: true,
        });
        let load = load.await?;
        let (flows_since, waits_before) = (Instant::now(), self.waits());
        tokio::time::sleep(LEAD + PHASE.mul_f64(random.random())).await;
        let path = self.path_in_use().await?;
        let victim = settings.fault.victim(&path);
        let victim = victim.context("the connections take no path")?;

        let struck_at = Instant::now();
        let struck = settings.fault.strike(&self.site, &self.agents, victim)?;
        let window = Window::around(struck_at);
        self.wait_out(&load, settings.fault, struck_at).await;
        struck.mend(&self.site, &mut self.agents).await?;
        let mended_at = Instant::now();
        tokio::time::sleep_until((struck_at + AFTER).into()).await;
        // Nobody may be left to ask about.
        let path_after = self.path_in_use().await.ok();
        let waited = longest_wait(&waits_before, &self.waits());
        let told = Instant::now();
        let finished = load.finish().await?;
        self.agents.await_whole(HEAL_LIMIT).await?;
        let healed_ms = millis(mended_at.elapsed());
        let leaks = leak::take(&self.site)?;
        let see = |ended: &Ended| Seen::judge(ended, window, struck_at, told);
        Ok(Repeat {
            fault: settings.fault,
            heartbeat: heartbeat_name(settings.heartbeat),
            downloads: settings.downloads,
            uploads: settings.uploads,
            seed: settings.seed,
            struck_at,
            victim: victim.name(),
            path_before: names(&path),
            path_after: path_after.as_deref().map(names),
            transfers: finished.transfers.iter().map(see).collect(),
            connects: Connects::within(window, &finished.attempts),
            leaks,
            waited_percent: 100.0 * waited.div_duration_f64(told - flows_since),
            pause_ms: millis(window.longest_gap(finished.beats).length),
            started_ms: None,
            healed_ms,
        })
    }

    /// Waits as long as the fault lasts.
    async fn wait_out(&self, load: &Load, fault: Fault, struck_at: Instant) {
        if fault.class() == Class::Exit {
            load.await_end(struck_at + END_LIMIT).await;
        }
        tokio::time::sleep_until((struck_at + LASTS).into()).await;
    }
}

impl Seen {
    fn judge(ended: &Ended, window: Window, struck_at: Instant, told: Instant) -> Self {
        let arrivals = ended.watch.take_arrivals();
        let stall = window.longest_gap(arrivals.iter().map(|read| read.0));
        let (end, detail) = match &ended.ending {
            Some(Ending::Complete) => (End::Complete, None),
            Some(Ending::Failed(detail) | Ending::Broken(detail)) => {
                (End::Broken, Some(detail.clone()))
            }
            Some(Ending::Damaged(detail)) => (End::Damaged, Some(detail.clone())),
            None => (End::Hung, None),
        };
        let complete = end == End::Complete;
        let early = ended.at < told;
        Self {
            direction: match ended.kind {
                Kind::Upload => "upload",
                _ => "download",
            },
            bytes: ended.watch.bytes(),
            stall_ms: complete.then(|| millis(stall.length)),
            stall_begun_ms: complete.then(|| signed_millis(struck_at, stall.begun)),
            end,
            detail,
            ended_after_ms: early.then(|| millis(ended.at.saturating_duration_since(struck_at))),
            arrivals,
        }
    }
}

/// Of the agents that lived all the time.
fn longest_wait(before: &BTreeMap<u32, Duration>, after: &BTreeMap<u32, Duration>) -> Duration {
    let waits = after.iter().filter_map(|(pid, after)| {
        let before = before.get(pid)?;
        Some(after.saturating_sub(*before))
    });
    waits.max().unwrap_or_default()
}

/// Milliseconds from `origin` to `moment`.
pub fn signed_millis(origin: Instant, moment: Instant) -> f64 {
    millis(moment.saturating_duration_since(origin))
        - millis(origin.saturating_duration_since(moment))
}

fn names(path: &[Node]) -> Vec<&'static str> {
    path.iter().map(|node| node.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_most_counts_if_it_lived_on() {
        let ms = |pairs: [(u32, u64); 2]| pairs.map(|(pid, ms)| (pid, Duration::from_millis(ms)));
        let before = BTreeMap::from(ms([(1, 10), (2, 500)]));
        let after = BTreeMap::from(ms([(1, 40), (3, 900)]));
        assert_eq!(longest_wait(&before, &after), Duration::from_millis(30));
    }

    #[test]
    fn a_fault_ends_inside_its_window() {
        assert!(LASTS < AFTER);
    }
}

//! One contest: agents start, uploads begin one after the other, and what arrives of each is counted.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::net::sockopt::set_tcp_congestion;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout};

use super::contest::{Arrivals, Contest, Outcome, Sender};
use super::ground::{Ground, TARGET};
use crate::condition::Condition;
use crate::mesh::{Agents, Settings, Whole};
use crate::spot::INSIDE;
use crate::workload::checked::{self, Ending, Kind, Ledger, Watch, carry};
use crate::workload::serve::{self, Service};
use crate::workload::{Route, Target};

/// The port of the target.
const PORT: u16 = 7_003;

/// Congestion control of the kernel's own connections.
const KERNEL: &str = "cubic";

/// Seeds of two uploads are so far apart.
const SEED_STRIDE: u64 = 1_000_000;

/// When what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From one sender's begin to the next one's.
    pub(super) gap: Duration,
    /// From the last one's begin until it counts: startup.
    pub(super) lead: Duration,
    /// For how long it counts.
    pub(super) length: Duration,
}

impl Times {
    fn counted_from(self, senders: usize) -> Duration {
        let gaps = u32::try_from(senders - 1).expect("there are a few senders");
        self.gap * gaps + self.lead
    }
}

/// Runs it with this binary.
pub(super) async fn contend(
    ground: &Ground,
    (condition, contest): (&Condition, &Contest),
    (warren, seed): (&Path, u64),
    times: Times,
) -> anyhow::Result<Outcome> {
    let _line = ground.lay(condition, seed).await?;
    let folder = TempDir::with_prefix("chaos-shares-").context("cannot make a folder")?;
    let plans = ground.plans(contest.senders());
    let whole = Whole {
        links: plans.len() - 1,
        exits: 1,
        ..Whole::default()
    };
    let mut agents = match plans.len() {
        // The kernel's own connections need none.
        1 => None,
        _ => Some(Agents::prepare(warren, folder.path(), plans, whole).await?),
    };
    if let Some(agents) = &mut agents {
        agents.start(&Settings::default()).await?;
    }
    let outcome = upload(ground, contest, seed, times).await;
    if let Some(agents) = &mut agents {
        agents.stop().await;
    }
    outcome
}

async fn upload(
    ground: &Ground,
    contest: &Contest,
    seed: u64,
    times: Times,
) -> anyhow::Result<Outcome> {
    let ledger = Arc::<Ledger>::default();
    let target = ground.target().host("target")?;
    let address = SocketAddr::from((TARGET, PORT));
    let serving = serve::open(&target, address, Service::Checked, &ledger, |_, _| {}).await?;
    let zero = Instant::now();
    let from = times.counted_from(contest.senders().len());
    let until = from + times.length;
    let mut uploads = Vec::new();
    let mut sessions = 0;
    for (sender, number) in contest.senders().iter().zip(0_u32..) {
        let (spot, route) = match sender {
            Sender::Tcp => (ground.kernel(), Route::Direct),
            Sender::Bbr | Sender::Cubic => {
                sessions += 1;
                (ground.session(sessions - 1), Route::via(INSIDE.socks))
            }
        };
        let plan = checked::Plan {
            seed: seed.wrapping_add(u64::from(number) * SEED_STRIDE),
            ledger: Some(Arc::clone(&ledger)),
            ..checked::Plan::new(route, Target::Address(address), Kind::Upload, Duration::MAX)
        };
        let host = spot.host("upload")?;
        let (begins, ends) = (zero + times.gap * number, zero + until);
        let carried = host.spawn(one(plan, Arc::clone(&ledger), (begins, ends)));
        uploads.push((host, sender, carried));
    }
    let mut arrivals = Vec::new();
    for (_host, sender, carried) in uploads {
        arrivals.push(
            arrived(carried, zero)
                .await
                .with_context(|| sender.name())?,
        );
    }
    serving.abort();
    Ok(Outcome::of(&arrivals, from, until))
}

async fn arrived(
    carried: JoinHandle<anyhow::Result<Vec<(Instant, usize)>>>,
    zero: Instant,
) -> anyhow::Result<Arrivals> {
    let seen = carried.await.context("an upload panicked")??;
    let since = |(at, bytes): (Instant, usize)| (at.saturating_duration_since(zero), bytes);
    Ok(Arrivals(seen.into_iter().map(since).collect()))
}

/// One upload between two moments; when how much of it arrived. It is cut off then: what is under way
/// on a full line takes as long again.
async fn one(
    plan: checked::Plan,
    ledger: Arc<Ledger>,
    (begins, ends): (Instant, Instant),
) -> anyhow::Result<Vec<(Instant, usize)>> {
    sleep_until(begins.into()).await;
    let stream = plan.route.connect(&plan.target).await?;
    if plan.route == Route::Direct {
        set_tcp_congestion(&stream, KERNEL).context("the kernel has no CUBIC")?;
    }
    let watch = Arc::new(Watch::remembering());
    ledger.announce(plan.seed, &watch);
    let left = ends.saturating_duration_since(Instant::now());
    if let Ok(seen) = timeout(left, carry(&plan, plan.seed, stream, &watch)).await {
        match seen.ending {
            Ending::Complete => bail!("it ended early"),
            Ending::Failed(why) | Ending::Broken(why) | Ending::Damaged(why) => bail!(why),
        }
    }
    Ok(watch.take_arrivals())
}

//! Transfers that must arrive whole: any that breaks fails the load.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use tokio::task::JoinSet;

use super::checked::{Ending, Kind, Plan, Seen, Watch, carry};

/// What a load of parallel transfers saw.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub connections: u32,
    /// Data bytes of all connections, each checked by its receiver.
    pub bytes: u64,
    /// From the first request to the last end.
    pub seconds: f64,
    pub gbit_per_second: f64,
    pub slowest_bytes: u64,
    pub fastest_bytes: u64,
    /// The longest time in which one download saw nothing arrive; 0 for uploads.
    pub longest_gap_ms: f64,
}

/// Opens all connections, then transfers over all of them at once. A plan whose bytes are limited
/// wants all of them.
pub async fn run(plan: &Plan) -> anyhow::Result<Report> {
    let mut streams = Vec::new();
    for _ in 0..plan.connections {
        streams.push(plan.route.connect(&plan.target).await?);
    }
    let started = Instant::now();
    let mut transfers = JoinSet::new();
    for (stream, number) in streams.into_iter().zip(0..) {
        let plan = plan.clone();
        transfers.spawn(async move {
            let seed = plan.seed.wrapping_add(number);
            let seen = carry(&plan, seed, stream, &Watch::default()).await;
            whole(&plan, &seen).with_context(|| format!("transfer {number}"))?;
            anyhow::Ok(seen)
        });
    }
    let mut seen = Vec::new();
    while let Some(joined) = transfers.join_next().await {
        seen.push(joined.context("a transfer panicked")??);
    }
    Ok(report(plan.kind, &seen, started.elapsed()))
}

fn whole(plan: &Plan, seen: &Seen) -> anyhow::Result<()> {
    match &seen.ending {
        Ending::Complete => {}
        Ending::Failed(error) | Ending::Broken(error) | Ending::Damaged(error) => bail!("{error}"),
    }
    let wanted = plan.bytes;
    ensure!(
        wanted == u64::MAX || seen.exact == wanted,
        "{} bytes arrived of {wanted}",
        seen.exact
    );
    Ok(())
}

fn report(kind: Kind, seen: &[Seen], elapsed: Duration) -> Report {
    let bytes = seen.iter().map(|one| one.exact).sum();
    let seconds = elapsed.as_secs_f64();
    let gap = seen.iter().map(|one| one.stalls.longest()).max();
    let gap = gap.filter(|_| kind == Kind::Download);
    Report {
        connections: u32::try_from(seen.len()).unwrap_or(u32::MAX),
        bytes,
        seconds,
        gbit_per_second: bytes as f64 * 8.0 / 1e9 / seconds,
        slowest_bytes: seen.iter().map(|one| one.exact).min().unwrap_or(0),
        fastest_bytes: seen.iter().map(|one| one.exact).max().unwrap_or(0),
        longest_gap_ms: gap.unwrap_or_default().as_secs_f64() * 1e3,
    }
}

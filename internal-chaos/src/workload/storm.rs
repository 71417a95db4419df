//! A storm of short connections: connect, echo one byte, close.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::echo::{self, ping};
use super::socks::{Route, Target};

/// A storm. It ends at whichever limit comes first.
#[derive(Clone, Debug)]
pub struct Plan {
    pub route: Route,
    /// An echo server.
    pub target: Target,
    /// Connections under way at once.
    pub concurrent: u32,
    pub connections: u32,
    pub time: Duration,
}

/// What became of the connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub succeeded: usize,
    pub failed: usize,
    pub first_error: Option<String>,
    pub seconds: f64,
    /// Successful ones only.
    pub connections_per_second: f64,
    /// `None` if none succeeded.
    pub latency: Option<echo::Report>,
}

/// Runs the storm. Failed connections are counted, not fatal.
pub async fn run(plan: &Plan) -> anyhow::Result<Report> {
    let plan = Arc::new(plan.clone());
    let tickets = Arc::new(AtomicU32::new(plan.connections));
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..plan.concurrent {
        workers.spawn(worker(Arc::clone(&plan), Arc::clone(&tickets), started));
    }
    let mut latencies = Vec::new();
    let mut errors = Vec::new();
    while let Some(joined) = workers.join_next().await {
        for outcome in joined.context("a worker panicked")? {
            match outcome {
                Ok(latency) => latencies.push(latency),
                Err(error) => errors.push(format!("{error:#}")),
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Report {
        succeeded: latencies.len(),
        failed: errors.len(),
        first_error: errors.into_iter().next(),
        seconds,
        connections_per_second: latencies.len() as f64 / seconds,
        latency: echo::Report::of(latencies),
    })
}

async fn worker(
    plan: Arc<Plan>,
    tickets: Arc<AtomicU32>,
    started: Instant,
) -> Vec<anyhow::Result<Duration>> {
    let mut outcomes = Vec::new();
    while started.elapsed() < plan.time && take(&tickets) {
        outcomes.push(connection(&plan).await);
    }
    outcomes
}

fn take(tickets: &AtomicU32) -> bool {
    tickets
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        })
        .is_ok()
}

async fn connection(plan: &Plan) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut stream = plan.route.connect(&plan.target).await?;
    ping(&mut stream, b's').await?;
    Ok(begun.elapsed())
}

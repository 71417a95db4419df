//! A storm of short connections: connect, echo one byte, close.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use super::attempt::{Attempt, attempt};
use super::echo;
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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
pub async fn run(plan: &Plan) -> Report {
    let started = Instant::now();
    let attempts = attempts(plan).await;
    let seconds = started.elapsed().as_secs_f64();
    let mut errors = attempts.iter().filter_map(|it| it.outcome.error());
    let good = attempts.iter().filter(|it| it.outcome.error().is_none());
    let latencies: Vec<Duration> = good.map(|it| it.ended - it.begun).collect();
    Report {
        succeeded: latencies.len(),
        failed: attempts.len() - latencies.len(),
        first_error: errors.next().map(str::to_owned),
        seconds,
        connections_per_second: latencies.len() as f64 / seconds,
        latency: echo::Report::of(latencies),
    }
}

/// All connections of a storm.
pub async fn attempts(plan: &Plan) -> Vec<Attempt> {
    let plan = Arc::new(plan.clone());
    let tickets = Arc::new(AtomicU32::new(plan.connections));
    let started = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..plan.concurrent.min(plan.connections) {
        let (plan, tickets) = (Arc::clone(&plan), Arc::clone(&tickets));
        workers.spawn(async move {
            let mut attempts = Vec::new();
            while started.elapsed() < plan.time && take(&tickets) {
                attempts.push(attempt(&plan.route, &plan.target).await);
            }
            attempts
        });
    }
    workers.join_all().await.into_iter().flatten().collect()
}

fn take(tickets: &AtomicU32) -> bool {
    let take = |left: u32| left.checked_sub(1);
    tickets
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
}

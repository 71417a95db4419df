//! All connections of a load.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Plan;
use super::client;
use super::report::{Ending, Report, Seen};

/// Connections under way at once, whatever the plan says: what a process may have open.
const MOST_CONCURRENT: usize = 10_000;

/// Runs a load to its end. It takes `time` and `grace` at most, and once more `grace` if uploads
/// broke whose end the target has yet to see. Dropping it ends all connections.
pub async fn run(plan: &Plan) -> Report {
    let begun = Instant::now();
    let concurrent = usize::try_from(plan.concurrent).unwrap_or(usize::MAX);
    let slots = Arc::new(Semaphore::new(concurrent.clamp(1, MOST_CONCURRENT)));
    let plan = Arc::new(plan.clone());
    let mut running = JoinSet::new();
    let mut report = Report::default();
    for number in 0..plan.connections {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            break;
        };
        if begun.elapsed() >= plan.time {
            break;
        }
        let plan = Arc::clone(&plan);
        running.spawn(async move {
            let seen = one(&plan, plan.seed.wrapping_add(number.into())).await;
            drop(slot);
            seen
        });
        while let Some(joined) = running.try_join_next() {
            report.add(joined.unwrap_or_else(panicked));
        }
    }
    while let Some(joined) = running.join_next().await {
        report.add(joined.unwrap_or_else(panicked));
    }
    report.seconds = begun.elapsed().as_secs_f64();
    report
}

/// One connection, with the target's word if its answer was lost.
async fn one(plan: &Plan, seed: u64) -> Seen {
    let mut seen = client::run(plan, seed).await;
    if let Some(ledger) = plan.ledger.as_ref().filter(|_| seen.unanswered) {
        let deadline = Instant::now() + plan.grace;
        if let Some(answer) = ledger.settled(seed, deadline).await {
            seen.count_upload(answer);
        }
    }
    seen
}

fn panicked(error: tokio::task::JoinError) -> Seen {
    Seen {
        ending: Ending::Broken(format!("the load itself failed: {error}")),
        ..Seen::default()
    }
}

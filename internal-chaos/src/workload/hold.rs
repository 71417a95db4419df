//! Idle connections: opened, proved by one echo, then held.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::echo::ping;
use super::socks::{Route, Target};

/// Connects under way at once.
const CONCURRENT: usize = 64;

/// Opens `count` connections to an echo server, each proved by one byte; any failure fails all.
pub async fn open(route: &Route, target: &Target, count: u32) -> anyhow::Result<Vec<TcpStream>> {
    let permits = Arc::new(Semaphore::new(CONCURRENT));
    let mut opening = JoinSet::new();
    for number in 0..count {
        let (route, target) = (route.clone(), target.clone());
        let permits = Arc::clone(&permits);
        opening.spawn(async move {
            let _permit = permits.acquire().await.context("the semaphore is closed")?;
            let mut stream = route.connect(&target).await?;
            ping(&mut stream, number as u8).await?;
            anyhow::Ok(stream)
        });
    }
    let mut held = Vec::new();
    while let Some(joined) = opening.join_next().await {
        held.push(
            joined
                .context("a connect panicked")?
                .with_context(|| format!("after {} of {count} connections", held.len()))?,
        );
    }
    Ok(held)
}

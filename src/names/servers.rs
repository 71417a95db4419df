//! A question to a list of servers: the next one is asked when one fails or keeps silent, and whoever
//! answers first has answered.
//!
//! ```text
//!  ask the first ──► silent for GAP ──► ask the next, too ──► … ──► all again, without EDNS
//!        │ refused, failed                    ▲
//!        └────────────────────────────────────┘ at once
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep;
use tracing::debug;

use super::exchange::{Manner, Trouble, ask};
use super::message::{Answer, Question};
use crate::clock;

/// Silence after which the next server is asked, too: longer than most answers that a server has
/// to look for, short to somebody who waits. It doubles with each round.
const GAP: Duration = Duration::from_millis(500);

/// Times that each server is asked, if nothing else is configured: datagrams get lost.
const ROUNDS: usize = 3;

/// How long a server that was silent, or not there, is asked last.
const SHUNNED: Duration = Duration::from_secs(30);

/// Questions of this process that are asked again, or of another server, while their first asking is
/// under way: sockets that no place of a name counts. While they are all taken, a question waits for those
/// whom it has asked.
pub const SPARE_QUERIES: usize = 64;
static SPARE: Semaphore = Semaphore::const_new(SPARE_QUERIES);

/// Servers of one origin.
#[derive(Debug)]
pub(super) struct Servers {
    servers: Vec<Server>,
    how: How,
    /// Where the next query begins, if they rotate.
    turn: AtomicUsize,
}

/// How they are asked.
#[derive(Clone, Debug)]
pub(super) struct How {
    pub(super) rounds: usize,
    pub(super) gap: Duration,
    pub(super) rotate: bool,
    pub(super) use_tcp: bool,
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    shunned_until: Mutex<Option<Instant>>,
    /// It answered only without.
    has_no_edns: AtomicBool,
}

type Asked<'a> = Pin<Box<dyn Future<Output = (usize, Result<Answer, Trouble>)> + Send + 'a>>;

impl How {
    /// For `servers` that have `timeout` in all: each is asked within the first half of it.
    pub(super) fn within(timeout: Duration, servers: usize) -> Self {
        let halves = u32::try_from(2 * servers.max(1)).unwrap_or(u32::MAX);
        Self {
            rounds: ROUNDS,
            gap: GAP.min(timeout / halves),
            rotate: false,
            use_tcp: false,
        }
    }
}

impl Servers {
    pub(super) fn new(addresses: &[SocketAddr], how: How) -> Self {
        let server = |address: &SocketAddr| Server {
            address: *address,
            shunned_until: Mutex::default(),
            has_no_edns: AtomicBool::new(false),
        };
        Self {
            servers: addresses.iter().map(server).collect(),
            how,
            turn: AtomicUsize::new(0),
        }
    }

    /// The first answer, or the last trouble once every server is in trouble. Waits for ever on
    /// silent ones.
    pub(super) async fn query(&self, question: &Question) -> Result<Answer, Trouble> {
        let order = self.order();
        let mut due: VecDeque<(usize, usize)> = (0..self.how.rounds)
            .flat_map(|round| order.iter().map(move |index| (round, *index)))
            .collect();
        let mut running: FuturesUnordered<Asked<'_>> = FuturesUnordered::new();
        let mut silent: Vec<usize> = Vec::new();
        let mut failed: Vec<usize> = Vec::new();
        loop {
            // Who has failed is not asked again.
            due.retain(|(_, index)| !failed.contains(index));
            let mut gap = self.how.gap;
            if let Some((round, index)) = due.front().copied() {
                gap = gap.saturating_mul(1 << round.min(8));
                let spare = match running.is_empty() {
                    true => Some(None),
                    false => SPARE.try_acquire().ok().map(Some),
                };
                if let Some(spare) = spare {
                    due.pop_front();
                    running.push(self.asked(index, round, question, spare));
                    silent.push(index);
                }
            }
            tokio::select! {
                biased;
                Some((index, result)) = running.next() => match result {
                    Ok(answer) => {
                        self.note_silent(&silent, index);
                        return Ok(answer);
                    }
                    Err(trouble) => {
                        debug!(%trouble, name = %question.name, "name server failed");
                        silent.retain(|other| *other != index);
                        if matches!(trouble, Trouble::Io { .. }) {
                            self.servers[index].shun();
                        }
                        if !failed.contains(&index) {
                            failed.push(index);
                        }
                        if failed.len() == self.servers.len() {
                            return Err(trouble);
                        }
                    }
                },
                () = sleep(gap), if !due.is_empty() => {}
                else => return Err(Trouble::Silent),
            }
        }
    }

    /// Configured order, those in trouble last.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<_> = (0..self.servers.len()).collect();
        if self.how.rotate && !order.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            order.rotate_left(turn % self.servers.len());
        }
        order.sort_by_key(|index| self.servers[*index].is_shunned());
        order
    }

    fn asked<'a>(
        &'a self,
        index: usize,
        round: usize,
        question: &'a Question,
        spare: Option<SemaphorePermit<'static>>,
    ) -> Asked<'a> {
        let server = &self.servers[index];
        // Some drop what has EDNS in it without a word.
        let edns = round == 0 && !server.has_no_edns.load(Ordering::Relaxed);
        let manner = Manner {
            edns,
            tcp: self.how.use_tcp,
        };
        Box::pin(async move {
            let _spare = spare;
            let result = ask(server.address, question, manner).await;
            let result = result.map(|(answer, with_edns)| {
                if edns && !with_edns {
                    server.has_no_edns.store(true, Ordering::Relaxed);
                }
                answer
            });
            (index, result)
        })
    }

    /// `answered` has, those in `silent` had not yet.
    fn note_silent(&self, silent: &[usize], answered: usize) {
        for index in silent.iter().filter(|index| **index != answered) {
            self.servers[*index].shun();
        }
        *self.servers[answered].lock() = None;
    }
}

impl Server {
    fn shun(&self) {
        *self.lock() = Some(clock::now() + SHUNNED);
    }

    fn is_shunned(&self) -> bool {
        self.lock().is_some_and(|until| clock::now() < until)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.shunned_until.lock().expect("no panic while locked")
    }
}

#[cfg(test)]
mod tests;

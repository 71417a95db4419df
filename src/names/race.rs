//! Happy Eyeballs, version 2 (RFC 8305): attempts on addresses that arrive while others are under way.
//!
//! ```text
//!  addresses arrive ──► the families alternate ──► attempts, one every STAGGER ──► the first success
//!                       IPv6 first where both are there; IPv4 alone waits 50 ms for it
//! ```

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::sleep_until;

use super::lookup::{Part, RESOLUTION_DELAY};
use crate::clock;

/// Time until the next address is tried beside the ones under way: RFC 8305's recommended Connection
/// Attempt Delay.
pub const STAGGER: Duration = Duration::from_millis(250);

/// Most addresses of one name that are tried. Sockets are opened in parallel, so a name with a
/// thousand addresses must not cost a thousand of them.
const MAX_ADDRESSES: usize = 16;

/// Attempts of this process beside the first of each race: sockets that no place of a connection counts.
/// While they are all taken, a race tries one address at a time.
pub const SPARE_ATTEMPTS: usize = 256;
static SPARE: Semaphore = Semaphore::const_new(SPARE_ATTEMPTS);

/// Why no address was reached.
#[derive(Debug)]
pub struct Failure<E> {
    /// Of each attempt that ended, in the order of their ends.
    pub errors: Vec<E>,
    /// Whether an attempt was given up when its time was over.
    pub timed_out: bool,
}

/// Addresses that wait for their attempt.
#[derive(Debug, Default)]
struct Queue {
    v4: Vec<SocketAddr>,
    v6: Vec<SocketAddr>,
    /// Whose turn it is, once one was taken.
    v4_is_next: Option<bool>,
    taken: usize,
}

impl Queue {
    fn add(&mut self, addresses: Vec<SocketAddr>) {
        for address in addresses {
            match address.ip() {
                IpAddr::V4(_) => self.v4.insert(0, address),
                IpAddr::V6(_) => self.v6.insert(0, address),
            }
        }
    }

    /// The next address: the families take turns, the order within each is kept.
    fn take(&mut self) -> Option<SocketAddr> {
        if self.taken >= MAX_ADDRESSES {
            return None;
        }
        let v4_first = self.v4_is_next.unwrap_or(false);
        let (address, was_v4) = if v4_first {
            let v4 = self.v4.pop().map(|address| (address, true));
            v4.or_else(|| self.v6.pop().map(|address| (address, false)))?
        } else {
            let v6 = self.v6.pop().map(|address| (address, false));
            v6.or_else(|| self.v4.pop().map(|address| (address, true)))?
        };
        self.v4_is_next = Some(!was_v4);
        self.taken += 1;
        Some(address)
    }

    fn is_empty(&self) -> bool {
        self.taken >= MAX_ADDRESSES || (self.v4.is_empty() && self.v6.is_empty())
    }
}

/// A race under way, but for its attempts.
struct Race<E> {
    queue: Queue,
    failure: Failure<E>,
    /// More addresses may come.
    is_open: bool,
    next_start: Instant,
    /// When what is under way is given up.
    deadline: Instant,
}

/// Runs `attempt` on the addresses of `parts`, with `port`: the next one starts when one failed or
/// `STAGGER` passed. The first success wins and the others are dropped. What is under way is given
/// up `patience` after the latest addresses came; those that still arrive are tried then, too.
pub async fn race<S, E, F, Fut>(
    parts: impl Stream<Item = Part>,
    port: u16,
    patience: Duration,
    attempt: F,
) -> Result<S, Failure<E>>
where
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = Result<S, E>>,
{
    let mut parts = pin!(parts.fuse());
    let mut running = FuturesUnordered::new();
    let mut race = Race::new(clock::now());
    loop {
        if !race.is_open && race.queue.is_empty() && running.is_empty() {
            return Err(race.failure);
        }
        if let Some((address, spare)) = race.start(clock::now(), running.is_empty()) {
            let attempted = attempt(address);
            running.push(async move {
                let _spare = spare;
                attempted.await
            });
        }
        tokio::select! {
            biased;
            Some(result) = running.next() => match result {
                Ok(won) => return Ok(won),
                Err(error) => {
                    race.failure.errors.push(error);
                    race.next_start = clock::now();
                }
            },
            part = parts.next(), if race.is_open => {
                let (now, is_idle) = (clock::now(), running.is_empty());
                match part {
                    Some(part) => race.handle_part(now, part, port, patience, is_idle),
                    None => race.handle_last(now, is_idle),
                }
            }
            () = sleep_until(race.deadline.into()), if !running.is_empty() => {
                running.clear();
                race.failure.timed_out = true;
                // Their time is over, too.
                race.queue = Queue { taken: race.queue.taken, ..Queue::default() };
            }
            () = sleep_until(race.next_start.into()), if !race.queue.is_empty() => {}
        }
    }
}

impl<E> Race<E> {
    fn new(now: Instant) -> Self {
        Self {
            queue: Queue::default(),
            failure: Failure {
                errors: Vec::new(),
                timed_out: false,
            },
            is_open: true,
            next_start: now,
            deadline: now,
        }
    }

    /// The address to try now, if it is time for one and there is room, and what takes the room.
    /// `is_idle`: nothing is under way.
    fn start(
        &mut self,
        now: Instant,
        is_idle: bool,
    ) -> Option<(SocketAddr, Option<SemaphorePermit<'static>>)> {
        // A timer, however early, fires a millisecond late.
        if self.next_start > now || self.queue.is_empty() {
            return None;
        }
        self.next_start = now + STAGGER;
        let spare = match is_idle {
            true => None,
            false => Some(SPARE.try_acquire().ok()?),
        };
        Some((self.queue.take()?, spare))
    }

    fn handle_part(
        &mut self,
        now: Instant,
        part: Part,
        port: u16,
        patience: Duration,
        is_idle: bool,
    ) {
        let is_first = self.queue.taken == 0;
        let is_v4_alone = part.more && part.addresses.iter().all(IpAddr::is_ipv4);
        let address = |ip: IpAddr| SocketAddr::new(ip, port);
        self.queue
            .add(part.addresses.into_iter().map(address).collect());
        self.deadline = now + patience;
        if is_first && is_v4_alone {
            self.next_start = now + RESOLUTION_DELAY;
        } else if is_first || is_idle {
            self.next_start = now;
        }
    }

    fn handle_last(&mut self, now: Instant, is_idle: bool) {
        self.is_open = false;
        // The family that was waited for does not come.
        if is_idle {
            self.next_start = now;
        }
    }
}

#[cfg(test)]
mod tests;

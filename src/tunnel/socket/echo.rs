//! Round trips to any agent on a path: echoes, which every agent answers.
//!
//! ```text
//! packet header | nonce u64 | zeros
//! ```
//!
//! Whoever has a link may ask, in anybody's name. So an answer is of the question's size (nothing
//! is amplified), takes the question's way back, and is one of a bounded number per second; and an
//! answer counts only if it carries a nonce that was drawn here at random, from the agent asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::packet::send_along;
use crate::clock;
use crate::forward::{DropReason, Fib, Inbox};
use crate::identity::ShortId;
use crate::routing::TokenBucket;
use crate::wire::packet::{Header, PacketType};

/// Echoes answered per second, of all askers together: twenty traces over one agent at once, and
/// less than a percent of the packets that a busy transit forwards.
const ANSWERS_PER_SECOND: u64 = 200;

/// Echoes and answers not looked at yet. Each may hold a buffer of 64 KiB.
pub(crate) const INBOX: usize = 32;

/// Own echoes on their way: two traces of three paths of 15 hops, 5 echoes to each.
const WAITING: usize = 512;

/// How long an answer is waited for, on a short path.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same in round trips as links know them: the smallest that were seen, by powers of √2. Jitter may
/// add one each way.
const ROUNDS: u32 = 4;

/// But no longer than this: nine seconds are three of round trip with as much jitter each way.
const LONGEST: Duration = Duration::from_secs(10);

/// Bytes of the nonce.
const NONCE: usize = 8;

/// Asks for round trips, and answers.
pub struct Echoer {
    fib: Arc<Fib>,
    /// By nonce.
    waiting: Mutex<HashMap<u64, Waiting>>,
    answers: Mutex<TokenBucket>,
}

struct Waiting {
    asked: ShortId,
    sent: Instant,
    answered: oneshot::Sender<Duration>,
}

/// Forgets an echo when its asker no longer waits.
struct Forget<'a> {
    echoer: &'a Echoer,
    nonce: u64,
}

impl Echoer {
    pub(crate) fn new(fib: Arc<Fib>) -> Arc<Self> {
        Arc::new(Self {
            fib,
            waiting: Mutex::default(),
            answers: Mutex::new(TokenBucket::new(clock::now(), ANSWERS_PER_SECOND)),
        })
    }

    /// The round trip to the last of `hops`, with a payload of `size` bytes each way (at least 8);
    /// `None` if no answer came in time, which is a second, or four times `expected`, what the links of
    /// the path take together, up to ten seconds.
    pub async fn round_trip(
        &self,
        hops: &[ShortId],
        size: usize,
        expected: Duration,
    ) -> Option<Duration> {
        let asked = *hops.last()?;
        let nonce = rand::random();
        let (answered, answer) = oneshot::channel();
        let waiting = Waiting {
            asked,
            sent: clock::now(),
            answered,
        };
        {
            let mut table = self.waiting();
            if table.len() >= WAITING {
                return None;
            }
            table.insert(nonce, waiting);
        }
        let _forget = Forget {
            echoer: self,
            nonce,
        };
        send_along(&self.fib, PacketType::Echo, hops, |_| payload(nonce, size));
        timeout(patience(expected), answer).await.ok()?.ok()
    }

    /// Handles what arrives in `inbox` until aborted.
    pub(crate) async fn receive(self: Arc<Self>, inbox: Arc<Inbox>) {
        loop {
            let delivery = inbox.pop().await;
            let now = clock::now();
            let header = delivery.header();
            for payload in delivery.payloads() {
                let done = match payload.first_chunk::<NONCE>() {
                    None => Err(DropReason::Malformed),
                    Some(nonce) => {
                        self.handle(now, &header, u64::from_be_bytes(*nonce), payload.len())
                    }
                };
                if let Err(reason) = done {
                    self.fib.metrics.dropped(reason, 1);
                }
            }
        }
    }

    fn handle(
        &self,
        now: Instant,
        header: &Header<'_>,
        nonce: u64,
        size: usize,
    ) -> Result<(), DropReason> {
        if header.packet_type() == PacketType::Echo {
            return self.answer(now, header, nonce, size);
        }
        let mut waiting = self.waiting();
        let asked = waiting.get(&nonce).map(|waiting| waiting.asked);
        if asked != Some(header.source()) {
            return Err(DropReason::Echo);
        }
        if let Some(waiting) = waiting.remove(&nonce) {
            let rtt = now.saturating_duration_since(waiting.sent);
            // Nobody waits if it came just too late.
            let _ = waiting.answered.send(rtt);
        }
        Ok(())
    }

    fn answer(
        &self,
        now: Instant,
        header: &Header<'_>,
        nonce: u64,
        size: usize,
    ) -> Result<(), DropReason> {
        let mut answers = self.answers.lock().expect("no panic while locked");
        if !answers.take(now, 1) {
            return Err(DropReason::Echo);
        }
        drop(answers);
        let back = header.reverse();
        send_along(&self.fib, PacketType::EchoReply, &back, |_| {
            payload(nonce, size)
        });
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.waiting.lock().expect("no panic while locked")
    }
}

/// How long an answer is waited for, if the links of the path take so long together.
fn patience(expected: Duration) -> Duration {
    (expected * ROUNDS).clamp(PATIENCE, LONGEST)
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.echoer.waiting().remove(&self.nonce);
    }
}

fn payload(nonce: u64, size: usize) -> Vec<u8> {
    let mut bytes = nonce.to_be_bytes().to_vec();
    bytes.resize(size.max(NONCE), 0);
    bytes
}

#[cfg(test)]
mod tests;

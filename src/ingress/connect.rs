//! From a target to a connected stream: candidates, one attempt after the other, an outcome.
//!
//! ```text
//! address ──► exits of its prefix ─────────────────────┐
//! name ──► exits of its domain route, which resolve ───┼──► attempts ──► connected | the verdict
//! name ──► resolvers ──► addresses ──► their exits ────┘       ▲  │ all failed in the mesh
//!                                                              └──┘ by the routes as of then
//! ```
//!
//! A name's addresses are raced as RFC 8305 section 5 has it: one that hangs, such as that of a family
//! which does not get through, delays the next one by a quarter of a second.
//!
//! A failure in the mesh or at the exit leads to the next attempt; one whose exit goes out of reach
//! fails at that moment. If there is no route but was one lately, one is waited for ([`Waiting`]), up to
//! `socks5.route_wait` in all. A verdict about the target ends the attempts on that target; a name's
//! other addresses are still tried.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;
use tracing::debug;

use super::attempts::{Attempt, Failures, MAX_ATTEMPTS, is_beside, take_beside};
use super::error::ConnectError;
use super::outcome::Connected;
use super::resolve::{MAX_ADDRESSES, Resolved};
use super::waiting::Waiting;
use super::{Ingress, Routes, Wanted};
use crate::clock::within;
use crate::names::{STAGGER, without_dot};
use crate::tunnel::OpenStream;
use crate::wire::Target;

/// One request under way.
struct Race<'a> {
    targets: Vec<Target>,
    /// Present while addresses of another family may come.
    resolved: Option<Resolved<'a>>,
    port: u16,
    failures: Failures,
}

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// Connects to `target` through whichever exit manages it first.
    pub(super) async fn connect(&self, target: &Target) -> Result<Connected, ConnectError> {
        let outcome = within(self.patience.overall, self.try_all(target)).await;
        outcome.unwrap_or_else(|| Err(ConnectError::TimedOut(target.to_string())))
    }

    async fn try_all(&self, target: &Target) -> Result<Connected, ConnectError> {
        let mut waiting = self.waiting(self.settings().route_wait);
        let (targets, resolved) = self.targets(target, &mut waiting).await?;
        let mut race = Race {
            targets,
            resolved,
            port: target.port(),
            failures: Failures::default(),
        };
        loop {
            let next = self.next_round(&race.targets, &race.failures, &mut waiting);
            let attempts = match next.await {
                Some(attempts) => attempts,
                // The other family may be the one that is reached.
                None if race.resolved.is_some() => Vec::new(),
                None => break,
            };
            if let Some(connected) = self.try_each(attempts, &mut race).await {
                return Ok(connected);
            }
        }
        let no_route = || ConnectError::NoRoute(target.to_string());
        Err(race.failures.verdict.unwrap_or_else(no_route))
    }

    /// What exits are asked for: the name itself where a domain route covers it, because nobody else
    /// must be asked for it, also while that route's exit is lost; else its addresses.
    async fn targets(
        &self,
        target: &Target,
        waiting: &mut Waiting<'_>,
    ) -> Result<(Vec<Target>, Option<Resolved<'_>>), ConnectError> {
        let Target::Domain(name, port) = target else {
            return Ok((vec![target.clone()], None));
        };
        let Some(resolved) = self.resolve_patiently(name, waiting).await? else {
            return Ok((vec![target.clone()], None));
        };
        let targets = addressed(resolved.addresses.clone(), *port);
        Ok((targets, Some(resolved)))
    }

    /// The attempts to make next: those of now, or those of the first change of routes that offers any.
    /// `None`: it is over.
    async fn next_round(
        &self,
        targets: &[Target],
        failures: &Failures,
        waiting: &mut Waiting<'_>,
    ) -> Option<Vec<Attempt>> {
        if !failures.are_of_mesh() || failures.count() >= MAX_ATTEMPTS {
            return None;
        }
        let mut is_news = false;
        let found = || {
            let offered = failures.worth_trying(self.attempts(targets), is_news);
            is_news = true;
            Some(offered).filter(|attempts| !attempts.is_empty())
        };
        let worth = failures.has_lost_a_way() || targets.iter().any(|target| self.had(target));
        waiting.find(&self.routes, worth, found).await
    }

    fn had(&self, target: &Target) -> bool {
        self.routes.had(match target {
            Target::Address(address) => Wanted::Address(address.ip()),
            Target::Domain(name, _) => Wanted::Domain(without_dot(name)),
        })
    }

    /// The attempts that today's routes offer: the best exit of each target first, then the second
    /// best. A name whose first address leads through dead exits gets to its second address before
    /// the client's patience ends.
    fn attempts(&self, targets: &[Target]) -> Vec<Attempt> {
        let mut waiting: Vec<_> = targets
            .iter()
            .map(|target| {
                let exits = match target {
                    Target::Address(address) => self.routes.exits_for_ip(address.ip()),
                    Target::Domain(name, _) => self.routes.exits_for_domain(without_dot(name)),
                };
                exits.into_iter().map(|exit| Attempt {
                    exit,
                    target: target.clone(),
                })
            })
            .collect();
        let mut attempts = Vec::new();
        while attempts.len() < MAX_ATTEMPTS {
            let before = attempts.len();
            attempts.extend(waiting.iter_mut().filter_map(Iterator::next));
            if attempts.len() == before {
                break;
            }
        }
        attempts.truncate(MAX_ATTEMPTS);
        attempts
    }

    /// One attempt after the other; a name's next address is tried beside one that hangs, and addresses
    /// that come late take part.
    async fn try_each(&self, attempts: Vec<Attempt>, race: &mut Race<'_>) -> Option<Connected> {
        let mut waiting = VecDeque::from(attempts);
        let mut running = FuturesUnordered::new();
        let mut under_way: Vec<Attempt> = Vec::new();
        let mut is_due = true;
        loop {
            waiting.retain(|attempt| !race.failures.has_answered(&attempt.target));
            if is_due && let Some(attempt) = take_beside(&mut waiting, &under_way) {
                if race.failures.count() > 0 {
                    self.metrics.retries.inc();
                }
                let has_alternative = !waiting.is_empty();
                under_way.push(attempt.clone());
                running.push(async move {
                    let outcome = self.attempt(&attempt, has_alternative).await;
                    (attempt, outcome)
                });
            }
            let has_others = waiting.iter().any(|one| is_beside(one, &under_way));
            tokio::select! {
                biased;
                Some((attempt, outcome)) = running.next() => {
                    under_way.retain(|other| *other != attempt);
                    match outcome {
                        Ok(connected) => return Some(connected),
                        Err(error) => {
                            debug!(exit = %attempt.exit, %error, "attempt failed");
                            race.failures.add(attempt, error);
                            is_due = true;
                        }
                    }
                }
                Some(late) = next_family(&mut race.resolved, self.patience.last) => {
                    let late = addressed(late, race.port);
                    waiting.extend(race.failures.worth_trying(self.attempts(&late), true));
                    let made = race.failures.count() + under_way.len();
                    waiting.truncate(MAX_ATTEMPTS.saturating_sub(made));
                    race.targets.extend(late);
                    is_due = under_way.is_empty();
                }
                () = sleep(STAGGER), if has_others => is_due = true,
                else => return None,
            }
        }
    }
}

/// The addresses of the family that comes later, if it comes within `time`.
async fn next_family(resolved: &mut Option<Resolved<'_>>, time: Duration) -> Option<Vec<IpAddr>> {
    let late = resolved.as_mut()?.late(time).await;
    *resolved = None;
    late
}

/// The first of `addresses` as targets.
fn addressed(addresses: Vec<IpAddr>, port: u16) -> Vec<Target> {
    let target = |ip: IpAddr| Target::Address(SocketAddr::new(ip.to_canonical(), port));
    addresses
        .into_iter()
        .take(MAX_ADDRESSES)
        .map(target)
        .collect()
}

//! From a destination to a connected stream: candidates, one attempt after the other, an outcome.
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
use tokio::net::TcpStream;
use tokio::time::sleep;
use tracing::debug;

use super::error::{Blame, ConnectError};
use super::resolve::{MAX_ADDRESSES, Resolved};
use super::socks::Destination;
use super::waiting::Waiting;
use super::{Ingress, OwnExit, Routes, Wanted};
use crate::clock::within;
use crate::exit::{self, Dialled};
use crate::identity::AgentId;
use crate::limit::Share;
use crate::names::{STAGGER, without_dot};
use crate::tunnel::{ExitStream, OpenError, OpenStream, receive_message, send_message};
use crate::wire::{ConnectReply, ConnectRequest, ConnectStatus, StreamRequest, Target};

/// Attempts inside one SOCKS5 request, whatever the number of exits and addresses.
const MAX_ATTEMPTS: usize = 8;

/// Round trips that an attempt gets at least: one for a session, one for the request, and two for a
/// packet that is lost and sent again.
const ROUND_TRIPS: u32 = 4;

/// How long a client's request may take, and its parts.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Until an exit gives a sign of life while there is another candidate. An exit that dials for
    /// longer says so, so this bounds the mesh and not the target.
    pub one_of_many: Duration,
    /// The same for the last candidate.
    pub last: Duration,
    /// Until a resolver answers while there is another one.
    pub resolver: Duration,
    /// Until the client has its reply. A kernel's own attempts on a silent target take about two
    /// minutes; an exit's `connect_timeout` ends the usual one much earlier.
    pub overall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            one_of_many: Duration::from_secs(1),
            last: Duration::from_secs(10),
            resolver: Duration::from_secs(2),
            overall: Duration::from_secs(120),
        }
    }
}

impl Patience {
    /// `rtt` is the round trip to the exit.
    fn attempt(&self, has_alternative: bool, rtt: Duration) -> Duration {
        let time = if has_alternative {
            self.one_of_many
        } else {
            self.last
        };
        time.max(rtt * ROUND_TRIPS)
    }

    pub(super) fn resolve(&self, has_alternative: bool, rtt: Duration) -> Duration {
        let time = if has_alternative {
            self.resolver
        } else {
            self.last
        };
        time.max(rtt * ROUND_TRIPS)
    }
}

/// How a client's bytes reach the target.
pub(super) enum Link {
    /// Through the mesh.
    Stream(ExitStream),
    /// From this agent, which is the exit, and the place there.
    Own(TcpStream, Share<AgentId>),
}

/// A destination that was reached.
pub(super) struct Connected {
    pub(super) link: Link,
    pub(super) exit: AgentId,
    /// The exit's address towards the target.
    pub(super) bound: Option<SocketAddr>,
}

/// One exit asked for one target.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attempt {
    exit: AgentId,
    target: Target,
}

/// One request under way.
struct Race<'a> {
    targets: Vec<Target>,
    /// Present while addresses of another family may come.
    resolved: Option<Resolved<'a>>,
    port: u16,
    failures: Failures,
}

/// The failed attempts of one request, and the most telling failure of them.
#[derive(Default)]
struct Failures {
    verdict: Option<ConnectError>,
    attempts: Vec<(Attempt, Blame)>,
}

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// Connects to `destination` through whichever exit manages it first.
    pub(super) async fn connect(
        &self,
        destination: &Destination,
    ) -> Result<Connected, ConnectError> {
        let outcome = within(self.patience.overall, self.try_all(destination)).await;
        outcome.unwrap_or_else(|| Err(ConnectError::TimedOut(describe(destination))))
    }

    async fn try_all(&self, destination: &Destination) -> Result<Connected, ConnectError> {
        let mut waiting = self.waiting(self.route_wait);
        let (targets, resolved) = self.targets(destination, &mut waiting).await?;
        let mut race = Race {
            targets,
            resolved,
            port: destination.port(),
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
        let no_route = || ConnectError::NoRoute(describe(destination));
        Err(race.failures.verdict.unwrap_or_else(no_route))
    }

    /// What exits are asked for: the name itself where a domain route covers it, because nobody else
    /// must be asked for it, also while that route's exit is lost; else its addresses.
    async fn targets(
        &self,
        destination: &Destination,
        waiting: &mut Waiting<'_>,
    ) -> Result<(Vec<Target>, Option<Resolved<'_>>), ConnectError> {
        let Destination::Name(name, port) = destination else {
            return Ok((vec![destination.target()], None));
        };
        let Some(resolved) = self.resolve_patiently(name, waiting).await? else {
            return Ok((vec![destination.target()], None));
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
        if !failures.are_of_mesh() || failures.attempts.len() >= MAX_ATTEMPTS {
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
                if !race.failures.attempts.is_empty() {
                    self.metrics.retries.inc();
                }
                let rtt = self.opener.round_trip(attempt.exit);
                let time = self.patience.attempt(!waiting.is_empty(), rtt);
                under_way.push(attempt.clone());
                running.push(async move {
                    let outcome = self.attempt(&attempt, time).await;
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
                    let made = race.failures.attempts.len() + under_way.len();
                    waiting.truncate(MAX_ATTEMPTS.saturating_sub(made));
                    race.targets.extend(late);
                    is_due = under_way.is_empty();
                }
                () = sleep(STAGGER), if has_others => is_due = true,
                else => return None,
            }
        }
    }

    async fn attempt(&self, attempt: &Attempt, time: Duration) -> Result<Connected, ConnectError> {
        let exit = attempt.exit;
        let own = self.own.as_ref().filter(|own| own.member.id == exit);
        let (link, bound) = match own {
            Some(own) => self.attempt_own(own, &attempt.target).await?,
            None => {
                let (stream, bound) = self.attempt_remote(attempt, time).await?;
                (Link::Stream(stream), bound)
            }
        };
        Ok(Connected { link, exit, bound })
    }

    async fn attempt_own(
        &self,
        own: &OwnExit,
        target: &Target,
    ) -> Result<(Link, Option<SocketAddr>), ConnectError> {
        let failed = |error: exit::ConnectError| ConnectError::Exit {
            exit: own.member.id,
            status: error.status(),
            detail: error.to_string(),
        };
        let place = own.exit.place(own.member.id);
        let place = place.ok_or_else(|| failed(exit::ConnectError::Busy))?;
        let connecting = own.exit.connect(&own.member, target);
        let Dialled { tcp, bound } = connecting.await.map_err(failed)?;
        Ok((Link::Own(tcp, place), Some(bound)))
    }

    async fn attempt_remote(
        &self,
        attempt: &Attempt,
        time: Duration,
    ) -> Result<(ExitStream, Option<SocketAddr>), ConnectError> {
        let exit = attempt.exit;
        tokio::select! {
            biased;
            answer = self.answer(attempt, time) => answer,
            () = self.opener.lost(exit) => Err(OpenError::NoPath(exit).into()),
        }
    }

    /// What the exit has to say in the end; its first sign of life must come within `time`.
    async fn answer(
        &self,
        attempt: &Attempt,
        time: Duration,
    ) -> Result<(ExitStream, Option<SocketAddr>), ConnectError> {
        let exit = attempt.exit;
        let asked = within(time, self.ask(attempt)).await;
        let (mut stream, mut reply) = asked.ok_or(ConnectError::Silent { exit, after: time })??;
        while reply.status == ConnectStatus::Pending {
            reply = receive(&mut stream, exit).await?;
        }
        match reply.status {
            ConnectStatus::Connected => Ok((stream, reply.bound)),
            status => Err(ConnectError::Exit {
                exit,
                status,
                detail: reply.detail,
            }),
        }
    }

    /// Opens a stream, asks, and waits for the first sign of life.
    async fn ask(&self, attempt: &Attempt) -> Result<(ExitStream, ConnectReply), ConnectError> {
        let exit = attempt.exit;
        let mut stream = self.opener.open(exit).await?;
        let request = StreamRequest::Connect(ConnectRequest {
            target: attempt.target.clone(),
        });
        let sent = send_message(&mut stream.send, &request).await;
        sent.map_err(|error| ConnectError::Stream {
            exit,
            reason: error.to_string(),
        })?;
        let reply = receive(&mut stream, exit).await?;
        Ok((stream, reply))
    }
}

/// The addresses of the family that comes later, if it comes within `time`.
async fn next_family(resolved: &mut Option<Resolved<'_>>, time: Duration) -> Option<Vec<IpAddr>> {
    let late = resolved.as_mut()?.late(time).await;
    *resolved = None;
    late
}

/// The first attempt that may be made now.
fn take_beside(waiting: &mut VecDeque<Attempt>, under_way: &[Attempt]) -> Option<Attempt> {
    let at = waiting
        .iter()
        .position(|attempt| is_beside(attempt, under_way))?;
    waiting.remove(at)
}

/// Whether nobody is being asked for the target of `attempt`: a target is dialled by one exit at a time.
fn is_beside(attempt: &Attempt, under_way: &[Attempt]) -> bool {
    under_way.iter().all(|other| other.target != attempt.target)
}

impl Failures {
    fn add(&mut self, attempt: Attempt, error: ConnectError) {
        self.attempts.push((attempt, error.blame()));
        self.verdict = Some(match self.verdict.take() {
            Some(verdict) => verdict.or(error),
            None => error,
        });
    }

    fn has_answered(&self, target: &Target) -> bool {
        let mut failed = self.attempts.iter();
        failed.any(|(attempt, blame)| *blame == Blame::Target && attempt.target == *target)
    }

    /// Whether every failure was the mesh's.
    fn are_of_mesh(&self) -> bool {
        let mut blames = self.attempts.iter().map(|(_, blame)| blame);
        blames.all(|blame| matches!(blame, Blame::Way | Blame::Exit))
    }

    /// Whether a way to an exit was there and died.
    fn has_lost_a_way(&self) -> bool {
        let mut blames = self.attempts.iter().map(|(_, blame)| blame);
        blames.any(|blame| *blame == Blame::Way)
    }

    /// Those of `attempts` that deserve to be made: exits that were not asked; those that are in reach
    /// again, once at once and then only if that `is_news`, or eight attempts would be over in a
    /// millisecond.
    fn worth_trying(&self, mut attempts: Vec<Attempt>, is_news: bool) -> Vec<Attempt> {
        attempts.retain(|attempt| {
            let before = self.attempts.iter().filter(|(made, _)| made == attempt);
            let lost = before.clone().filter(|(_, blame)| *blame == Blame::Way);
            let (before, lost) = (before.count(), lost.count());
            before == lost && (is_news || lost < 2)
        });
        attempts.truncate(MAX_ATTEMPTS.saturating_sub(self.attempts.len()));
        attempts
    }
}

async fn receive(stream: &mut ExitStream, exit: AgentId) -> Result<ConnectReply, ConnectError> {
    let reply = receive_message(&mut stream.recv).await;
    reply.map_err(|error| ConnectError::Stream {
        exit,
        reason: error.to_string(),
    })
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

impl Destination {
    fn port(&self) -> u16 {
        match self {
            Self::Address(address) => address.port(),
            Self::Name(_, port) => *port,
        }
    }

    fn target(&self) -> Target {
        match self {
            Self::Address(address) => Target::Address(*address),
            Self::Name(name, port) => Target::Domain(name.clone(), *port),
        }
    }
}

/// `host:port` for people.
pub(super) fn describe(destination: &Destination) -> String {
    match destination {
        Destination::Address(address) => address.to_string(),
        Destination::Name(name, port) => format!("{name}:{port}"),
    }
}

//! From a destination to a connected stream: candidates, one attempt after the other, an outcome.
//!
//! ```text
//! address ──► exits of its prefix ─────────────────────┐
//! name ──► exits of its domain route, which resolve ───┼──► attempts ──► connected | the verdict
//! name ──► resolvers ──► addresses ──► their exits ────┘
//! ```
//!
//! A failure in the mesh or at the exit leads to the next attempt. A verdict about the target ends
//! the attempts on that target; a name's other addresses are still tried.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fast_socks5::ReplyError;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use super::resolve::resolve;
use super::socks::Destination;
use super::{Ingress, Routes};
use crate::exit::Dialled;
use crate::identity::AgentId;
use crate::tunnel::{ExitStream, OpenError, OpenStream, receive_message, send_message};
use crate::wire::{ConnectReply, ConnectRequest, ConnectStatus, StreamRequest, Target};

/// Attempts inside one SOCKS5 request, whatever the number of exits and addresses.
const MAX_ATTEMPTS: usize = 8;

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
    fn attempt(&self, has_alternative: bool) -> Duration {
        if has_alternative {
            self.one_of_many
        } else {
            self.last
        }
    }

    pub(super) fn resolve(&self, has_alternative: bool) -> Duration {
        if has_alternative {
            self.resolver
        } else {
            self.last
        }
    }
}

/// Why a client was not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no live route to {0}")]
    NoRoute(String),
    #[error("{0} has no address")]
    NotFound(String),
    #[error("no resolver could answer for {0}")]
    NotResolved(String),
    #[error("no answer for {0} in time")]
    TimedOut(String),
    #[error(transparent)]
    Mesh(#[from] OpenError),
    #[error("exit {exit} gave no sign of life within {} ms", .after.as_millis())]
    Silent { exit: AgentId, after: Duration },
    #[error("stream to exit {exit} failed: {reason}")]
    Stream { exit: AgentId, reason: String },
    #[error("exit {exit} answered {status:?}: {detail}")]
    Exit {
        exit: AgentId,
        status: ConnectStatus,
        detail: String,
    },
}

/// What a failed attempt leaves to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Further {
    /// Any other attempt.
    All,
    /// Attempts on other targets: the target has answered.
    OtherTargets,
}

impl ConnectError {
    /// The SOCKS5 reply for this error.
    pub fn reply(&self) -> ReplyError {
        match self {
            Self::NoRoute(_) | Self::Mesh(_) | Self::Stream { .. } => {
                ReplyError::NetworkUnreachable
            }
            Self::NotFound(_) | Self::NotResolved(_) => ReplyError::HostUnreachable,
            Self::TimedOut(_) | Self::Silent { .. } => ReplyError::TtlExpired,
            Self::Exit { status, .. } => match status {
                ConnectStatus::NotAllowed => ReplyError::ConnectionNotAllowed,
                ConnectStatus::NetworkUnreachable | ConnectStatus::Draining => {
                    ReplyError::NetworkUnreachable
                }
                ConnectStatus::HostUnreachable | ConnectStatus::NameNotFound => {
                    ReplyError::HostUnreachable
                }
                ConnectStatus::Refused => ReplyError::ConnectionRefused,
                ConnectStatus::TimedOut => ReplyError::TtlExpired,
                ConnectStatus::Internal | ConnectStatus::Pending | ConnectStatus::Connected => {
                    ReplyError::GeneralFailure
                }
            },
        }
    }

    /// Its metrics label.
    pub(super) fn result(&self) -> &'static str {
        match self.reply() {
            ReplyError::Succeeded => "connected",
            ReplyError::GeneralFailure => "internal",
            ReplyError::ConnectionNotAllowed => "not_allowed",
            ReplyError::NetworkUnreachable => "no_route",
            ReplyError::HostUnreachable => "host_unreachable",
            ReplyError::ConnectionRefused => "refused",
            ReplyError::ConnectionTimeout | ReplyError::TtlExpired => "timed_out",
            ReplyError::CommandNotSupported => "command_not_supported",
            ReplyError::AddressTypeNotSupported => "address_type_not_supported",
        }
    }

    /// The more telling of two failures, the earlier one of equals: what a target said beats what
    /// an exit said beats what the mesh did.
    pub(super) fn or(self, later: Self) -> Self {
        if later.weight() > self.weight() {
            later
        } else {
            self
        }
    }

    fn weight(&self) -> u8 {
        match self {
            Self::NoRoute(_) => 0,
            Self::Mesh(_) | Self::Silent { .. } | Self::Stream { .. } => 1,
            Self::TimedOut(_) | Self::NotResolved(_) => 2,
            Self::NotFound(_) => 3,
            Self::Exit { status, .. } => match status {
                ConnectStatus::Draining => 1,
                ConnectStatus::Internal | ConnectStatus::Pending | ConnectStatus::Connected => 4,
                ConnectStatus::NetworkUnreachable => 5,
                ConnectStatus::HostUnreachable => 6,
                ConnectStatus::TimedOut => 7,
                ConnectStatus::NotAllowed => 8,
                ConnectStatus::NameNotFound => 9,
                ConnectStatus::Refused => 10,
            },
        }
    }

    fn further(&self) -> Further {
        match self {
            Self::Exit {
                status: ConnectStatus::Refused | ConnectStatus::NameNotFound,
                ..
            } => Further::OtherTargets,
            _ => Further::All,
        }
    }
}

/// How a client's bytes reach the target.
pub(super) enum Link {
    /// Through the mesh.
    Stream(ExitStream),
    /// From this agent, which is the exit.
    Own(TcpStream),
}

/// A destination that was reached.
pub(super) struct Connected {
    pub(super) link: Link,
    pub(super) exit: AgentId,
    /// The exit's address towards the target.
    pub(super) bound: Option<SocketAddr>,
}

/// One exit asked for one target.
#[derive(Debug, PartialEq, Eq)]
struct Attempt {
    exit: AgentId,
    target: Target,
}

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// Connects to `destination` through whichever exit manages it first.
    pub(super) async fn connect(
        &self,
        destination: &Destination,
    ) -> Result<Connected, ConnectError> {
        let attempts = async {
            let attempts = self.attempts(destination).await?;
            self.try_each(attempts, destination).await
        };
        match timeout(self.patience.overall, attempts).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::TimedOut(describe(destination))),
        }
    }

    /// Every attempt worth making, best first.
    async fn attempts(&self, destination: &Destination) -> Result<Vec<Attempt>, ConnectError> {
        let mut attempts = match destination {
            Destination::Address(address) => self.attempts_on(*address).collect(),
            Destination::Name(name, port) => {
                let exits = self.routes.exits_for_domain(name);
                if exits.is_empty() {
                    let resolved = resolve(
                        name,
                        &self.opener,
                        &self.routes,
                        self.own.as_ref(),
                        &self.patience,
                    );
                    self.attempts_on_any(resolved.await?, *port)
                } else {
                    let target = Target::Domain(name.clone(), *port);
                    exits
                        .into_iter()
                        .map(|exit| Attempt {
                            exit,
                            target: target.clone(),
                        })
                        .collect()
                }
            }
        };
        attempts.truncate(MAX_ATTEMPTS);
        Ok(attempts)
    }

    fn attempts_on(&self, address: SocketAddr) -> impl Iterator<Item = Attempt> + use<T, R> {
        let exits = self.routes.exits_for_ip(address.ip());
        exits.into_iter().map(move |exit| Attempt {
            exit,
            target: Target::Address(address),
        })
    }

    /// The best exit of each address first, then the second best: a name whose first address leads
    /// through dead exits gets to its second address before the client's patience ends.
    fn attempts_on_any(&self, addresses: Vec<IpAddr>, port: u16) -> Vec<Attempt> {
        let mut exits: Vec<_> = addresses
            .into_iter()
            .map(|ip| self.attempts_on(SocketAddr::new(ip.to_canonical(), port)))
            .collect();
        let mut attempts = Vec::new();
        while attempts.len() < MAX_ATTEMPTS {
            let before = attempts.len();
            attempts.extend(exits.iter_mut().filter_map(Iterator::next));
            if attempts.len() == before {
                break;
            }
        }
        attempts
    }

    async fn try_each(
        &self,
        attempts: Vec<Attempt>,
        destination: &Destination,
    ) -> Result<Connected, ConnectError> {
        let mut verdict = ConnectError::NoRoute(describe(destination));
        let mut answered: Vec<Target> = Vec::new();
        let mut waiting = attempts.into_iter().peekable();
        let mut is_retry = false;
        while let Some(attempt) = waiting.next() {
            if answered.contains(&attempt.target) {
                continue;
            }
            if is_retry {
                self.metrics.retries.inc();
            }
            is_retry = true;
            let time = self.patience.attempt(waiting.peek().is_some());
            match self.attempt(&attempt, time).await {
                Ok(connected) => return Ok(connected),
                Err(error) => {
                    debug!(exit = %attempt.exit, %error, "attempt failed");
                    if error.further() == Further::OtherTargets {
                        answered.push(attempt.target);
                    }
                    verdict = verdict.or(error);
                }
            }
        }
        Err(verdict)
    }

    async fn attempt(&self, attempt: &Attempt, time: Duration) -> Result<Connected, ConnectError> {
        let exit = attempt.exit;
        let own = self.own.as_ref().filter(|own| own.id == exit);
        let (link, bound) = match own {
            Some(own) => match own.exit.connect(&attempt.target).await {
                Ok(Dialled { tcp, bound }) => (Link::Own(tcp), Some(bound)),
                Err(error) => {
                    return Err(ConnectError::Exit {
                        exit,
                        status: error.status(),
                        detail: error.to_string(),
                    });
                }
            },
            None => {
                let (stream, bound) = self.attempt_remote(attempt, time).await?;
                (Link::Stream(stream), bound)
            }
        };
        Ok(Connected { link, exit, bound })
    }

    async fn attempt_remote(
        &self,
        attempt: &Attempt,
        time: Duration,
    ) -> Result<(ExitStream, Option<SocketAddr>), ConnectError> {
        let exit = attempt.exit;
        let asked = timeout(time, self.ask(attempt)).await;
        let (mut stream, mut reply) =
            asked.map_err(|_| ConnectError::Silent { exit, after: time })??;
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

async fn receive(stream: &mut ExitStream, exit: AgentId) -> Result<ConnectReply, ConnectError> {
    let reply = receive_message(&mut stream.recv).await;
    reply.map_err(|error| ConnectError::Stream {
        exit,
        reason: error.to_string(),
    })
}

/// `host:port` for people.
pub(super) fn describe(destination: &Destination) -> String {
    match destination {
        Destination::Address(address) => address.to_string(),
        Destination::Name(name, port) => format!("{name}:{port}"),
    }
}

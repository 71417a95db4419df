//! Links that we dial: one task per configured peer, for as long as the file says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::backoff::Backoff;
use super::dial_error::DialError;
use super::ending::{Closed, closed, code};
use super::event::DownReason;
use super::hello::{self, Introduction};
use super::opened::{LinkContext, Opened};
use super::patience::patience;
use super::reach::{Approach, Reached, Resolve, reach};
use super::run::{Ended, run};
use super::transport::LinkEndpoint;
use crate::clock;
use crate::config::{HostPort, Reconnect};
use crate::identity::AgentId;

/// By then, or after a round trip, the link has come for which the peer closed ours, unless the peer has
/// yet to see that it died.
const SUPERSEDED: Duration = Duration::from_millis(100);

/// A configured peer.
pub struct DialTarget {
    pub id: AgentId,
    pub address: HostPort,
    pub cost: u32,
    /// Requires the peer to be `id`.
    pub tls: Arc<rustls::ClientConfig>,
    pub reconnect: Reconnect,
    /// Dialled at once although there is a link already: the new one takes its place.
    pub replaces: bool,
    /// Cleared when the peer is not to be dialled so any more; then [`Links::wake`](super::Links::wake).
    pub wanted: Arc<AtomicBool>,
}

impl DialTarget {
    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
}

/// Keeps a link with `target`: dials whenever there is none, soon after a link that fell silent,
/// whose neighbour said goodbye, or that the peer had dialled, else with back-off between attempts.
/// Returns when `reconnect.max_retries` attempts in a row failed, when the links are closed, or, after
/// the end of the link that it keeps, when the target is not wanted any more.
pub async fn dial_forever<R: Resolve>(
    context: Arc<LinkContext>,
    endpoints: Arc<[LinkEndpoint]>,
    resolver: Arc<R>,
    target: DialTarget,
) {
    let mut dialler = Dialler {
        backoff: Backoff::new(target.reconnect.clone()),
        rtt: None,
        replaces: target.replaces,
        changed: context.links.subscribe(),
        context,
        endpoints,
        resolver,
        target,
    };
    while let Some(there) = dialler.until_missing().await {
        if let Some(lived) = there
            && dialler.rested_after(lived).await
        {
            continue;
        }
        match dialler.attempt().await {
            Attempt::Unwanted => return,
            Attempt::Linked => continue,
            Attempt::Over => {}
        }
        if !dialler.pause().await {
            return;
        }
    }
}

struct Dialler<R> {
    context: Arc<LinkContext>,
    endpoints: Arc<[LinkEndpoint]>,
    resolver: Arc<R>,
    target: DialTarget,
    backoff: Backoff,
    /// Of the link before.
    rtt: Option<Duration>,
    /// The link that is there is not waited for.
    replaces: bool,
    changed: watch::Receiver<()>,
}

/// How an attempt, and the link that came of it, ended.
enum Attempt {
    /// The target is not to be dialled any more.
    Unwanted,
    /// There is another link with it, or there may be.
    Linked,
    Over,
}

impl<R: Resolve> Dialler<R> {
    /// Waits until there is no link with the target; for how long there was one that somebody else had
    /// made. `None`: there is nothing to dial any more.
    async fn until_missing(&mut self) -> Option<Option<Duration>> {
        let found = clock::now();
        let mut there = false;
        let (links, id) = (&self.context.links, self.target.id);
        while links.is_live(id) && self.target.is_wanted() && !self.replaces {
            there = true;
            self.changed.changed().await.ok()?;
        }
        if links.is_closed() || !self.target.is_wanted() {
            return None;
        }
        self.replaces = false;
        Some(there.then(|| clock::since(found)))
    }

    /// Waits as it takes after a link that the peer had made and that `lived` so long; `false`: it takes
    /// nothing.
    async fn rested_after(&mut self, lived: Duration) -> bool {
        match self.context.standstill.just_woke() {
            true => self.backoff.handle_standstill(),
            false => self.backoff.handle_link_end(lived, Some(Duration::ZERO)),
        }
        let delay = self.backoff.next_delay(rand::random());
        if let Some(delay) = delay {
            wait_or_link(&self.context, &self.target, delay).await;
        }
        delay.is_some()
    }

    /// Dials once, and runs the link.
    async fn attempt(&mut self) -> Attempt {
        let (context, target) = (&self.context, &self.target);
        match dial(context, &self.endpoints, &*self.resolver, target, self.rtt).await {
            // It came too late; another one is on its way, or none is wanted.
            Ok(opened) if !target.is_wanted() => {
                let reason = DownReason::Removed.to_string();
                opened.connection.close(code::GOODBYE, &reason);
                Attempt::Unwanted
            }
            Ok(opened) => {
                self.rtt = Some(opened.connection.min_rtt());
                let ended = run(context.clone(), opened).await;
                self.handle_end(ended)
            }
            Err(error) => self.handle_failure(error).await,
        }
    }

    fn handle_end(&mut self, ended: Ended) -> Attempt {
        match ended {
            // The peer's link is there.
            Ended::Duplicate
            | Ended::Down {
                reason: DownReason::Replaced,
                ..
            } => return Attempt::Linked,
            Ended::Full => warn!(peer = %self.target.id, "link not kept: limits.links reached"),
            Ended::Down { reason, lived } => {
                if reason.fits_standstill() && self.context.standstill.just_woke() {
                    self.backoff.handle_standstill();
                } else {
                    self.backoff.handle_link_end(lived, reason.back_after());
                }
            }
        }
        Attempt::Over
    }

    async fn handle_failure(&self, error: DialError) -> Attempt {
        let (links, target) = (&self.context.links, &self.target);
        if let DialError::Superseded { rtt, .. } = error {
            wait_or_link(&self.context, target, SUPERSEDED.max(rtt)).await;
            if links.is_live(target.id) || links.is_closed() {
                return Attempt::Linked;
            }
        }
        let why = error.to_string();
        warn!(peer = %target.id, address = %target.address, error = %why, "peer not reached");
        links.note_failure(target.id, self.backoff.attempts() + 1, why);
        Attempt::Over
    }

    /// Waits for the next attempt; `false`: there is none.
    async fn pause(&mut self) -> bool {
        let Some(delay) = self.backoff.next_delay(rand::random()) else {
            error!(
                peer = %self.target.id,
                "peer given up: connections.reconnect.max_retries attempts failed"
            );
            return false;
        };
        debug!(peer = %self.target.id, ?delay, "next attempt");
        tokio::select! {
            () = wait_or_link(&self.context, &self.target, delay) => {}
            () = self.context.standstill.woken() => self.backoff.handle_standstill(),
        }
        true
    }
}

/// Sleeps for `delay`, or until the peer has dialled us or is not wanted any more.
async fn wait_or_link(context: &LinkContext, target: &DialTarget, delay: Duration) {
    let mut changed = context.links.subscribe();
    let linked = async {
        while !context.links.is_live(target.id) && target.is_wanted() {
            if changed.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = sleep(delay) => {}
        () = linked => {}
    }
}

/// One attempt, on whichever address of the peer answers. `rtt` is that of an earlier link.
async fn dial<R: Resolve>(
    context: &LinkContext,
    endpoints: &[LinkEndpoint],
    resolver: &R,
    target: &DialTarget,
    rtt: Option<Duration>,
) -> Result<Opened, DialError> {
    let approach = Approach {
        endpoints,
        tls: target.tls.clone(),
        rtt,
        within: patience(context.handshake_timeout, rtt),
    };
    let Reached {
        connection,
        address,
        endpoint,
    } = reach(&target.address, resolver, &approach).await?;
    let handshake = |reason: String| DialError::Handshake { address, reason };
    let certificate = connection.certificate();
    let neighbor = certificate
        .map_err(|error| handshake(error.to_string()))?
        .id;
    let mtu = connection.settled_mtu().await;
    let token_in = rand::random();
    let hello = context.hello(target.cost);
    let own = Introduction {
        hello: &hello,
        token_in,
        message_limit: context.control_message,
        within: patience(context.handshake_timeout, Some(connection.rtt())),
    };
    let greeting = hello::open(&connection, own).await.map_err(|error| {
        let reason = error.to_string();
        match closed(&connection, reason.clone()) {
            Closed::Superseded => DialError::Superseded {
                address,
                rtt: connection.rtt(),
            },
            Closed::Down(_) => DialError::Hello { address, reason },
        }
    })?;
    let adjacency = endpoint.adjacency(&connection, neighbor, greeting.token_out);
    Ok(Opened {
        connection,
        neighbor,
        dialled: true,
        greeting,
        adjacency,
        token_in,
        cost: target.cost,
        mtu,
    })
}

//! Links that we dial: one task per configured peer, for as long as the file says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
    let mut backoff = Backoff::new(target.reconnect.clone());
    let mut rtt = None;
    let mut changed = context.links.subscribe();
    let mut replaces = target.replaces;
    loop {
        let found = clock::now();
        let mut accepted = false;
        while context.links.is_live(target.id) && target.is_wanted() && !replaces {
            accepted = true;
            if changed.changed().await.is_err() {
                return;
            }
        }
        if context.links.is_closed() || !target.is_wanted() {
            return;
        }
        replaces = false;
        if accepted {
            match context.standstill.just_woke() {
                true => backoff.handle_standstill(),
                false => backoff.handle_link_end(clock::since(found), Some(Duration::ZERO)),
            }
            if let Some(delay) = backoff.next_delay(rand::random()) {
                wait_or_link(&context, &target, delay).await;
                continue;
            }
        }
        match dial(&context, &endpoints, &*resolver, &target, rtt).await {
            // It came too late; another one is on its way, or none is wanted.
            Ok(opened) if !target.is_wanted() => {
                let reason = DownReason::Removed.to_string();
                opened.connection.close(code::GOODBYE, &reason);
                return;
            }
            Ok(opened) => {
                rtt = Some(opened.connection.min_rtt());
                match run(context.clone(), opened).await {
                    // The peer's link is there; the loop waits until it is gone.
                    Ended::Duplicate
                    | Ended::Down {
                        reason: DownReason::Replaced,
                        ..
                    } => continue,
                    Ended::Full => warn!(peer = %target.id, "link not kept: limits.links reached"),
                    Ended::Down { reason, lived } => {
                        if reason.fits_standstill() && context.standstill.just_woke() {
                            backoff.handle_standstill();
                        } else {
                            backoff.handle_link_end(lived, reason.back_after());
                        }
                    }
                }
            }
            Err(error) => {
                if let DialError::Superseded { rtt, .. } = error {
                    wait_or_link(&context, &target, SUPERSEDED.max(rtt)).await;
                    if context.links.is_live(target.id) || context.links.is_closed() {
                        continue;
                    }
                }
                let why = error.to_string();
                warn!(peer = %target.id, address = %target.address, error = %why, "peer not reached");
                context
                    .links
                    .note_failure(target.id, backoff.attempts() + 1, why);
            }
        }
        let Some(delay) = backoff.next_delay(rand::random()) else {
            error!(
                peer = %target.id,
                "peer given up: connections.reconnect.max_retries attempts failed"
            );
            return;
        };
        debug!(peer = %target.id, ?delay, "next attempt");
        tokio::select! {
            () = wait_or_link(&context, &target, delay) => {}
            () = context.standstill.woken() => backoff.handle_standstill(),
        }
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

//! Events as lines of the log.

use tracing::{debug, info, warn};

use super::event::{Event, Failover};
use super::side::Side;
use crate::identity::AgentId;
use crate::routing::Path;

/// Tells of an event. What has more to say of one than the event holds tells of it itself.
pub(super) fn tell(event: &Event) {
    match event {
        Event::SessionEnded { side, peer, reason } => match side {
            Side::Ingress => info!(exit = %peer, %reason, "session ended"),
            Side::Exit => debug!(ingress = %peer, %reason, "session ended"),
        },
        Event::Failover(failover) => moved(failover),
        Event::HealthUp { check, .. } => info!(check, "health check is up"),
        Event::HealthDown { check, reason, .. } => {
            warn!(check, %reason, "health check is down: its routes are withdrawn");
        }
        // The address, name and cost of a link; the path of a session; what a skewed clock does.
        Event::LinkUp { .. }
        | Event::LinkSuspect { .. }
        | Event::LinkCleared { .. }
        | Event::LinkDown { .. }
        | Event::SessionOpened { .. }
        | Event::ClockSkew { .. }
        | Event::ClockSet { .. } => {}
        // Its failover was told of.
        Event::Recovered { .. } | Event::Unknown => {}
    }
}

fn moved(failover: &Failover) {
    let (peer, cause) = (failover.peer, failover.cause.as_str());
    let text = |hops: &[AgentId]| match hops {
        [] => "none".to_owned(),
        hops => Path::along(hops.to_vec()).to_string(),
    };
    match failover.side {
        Side::Ingress => {
            let (from, to) = (text(&failover.from), text(&failover.to));
            info!(exit = %peer, cause, %from, %to, "session moved to another path");
        }
        Side::Exit => info!(ingress = %peer, cause, "session answered along another path"),
    }
}

//! What happened lately: links, sessions, failovers, health checks, in one list.

use super::departed::Departed;
use super::skew::Skews;
use super::status::millis;
use crate::api::{EventKind, EventView, FailoverView, SideView};
use crate::clock::{self, format_time};
use crate::exit::{HealthChange, HealthLog};
use crate::identity::AgentId;
use crate::link::LinkEvent;
use crate::routing::Alarm;
use crate::tunnel::{
    Entry, Failover, Failovers, Journal, Numbers, Recovery, SessionChange, SessionLog, Side, Tunnel,
};

/// Changes of links that are remembered: every neighbour of a large agent once, as when its own
/// network goes away.
const LINK_CHANGES: usize = 1_024;

/// Clocks that were set or differ: told of once a minute for each agent, and 32 in all.
const CLOCK_CHANGES: usize = 256;

/// Characters of a reason that are kept: a neighbour may have written it.
const REASON: usize = 200;

/// The lists that make up the events. Cloning shares them.
#[derive(Clone)]
pub(super) struct EventLog {
    links: Journal<LinkChange>,
    clocks: Journal<ClockChange>,
    sessions: SessionLog,
    failovers: Failovers,
    health: HealthLog,
    numbers: Numbers,
    /// Names of agents that events tell of and that have left.
    pub(super) departed: Departed,
    /// Clocks that differ now.
    pub(super) skews: Skews,
}

/// Of the clock of an agent, or this host's: milliseconds ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClockChange {
    Skew(AgentId, i64),
    Set(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LinkChange {
    Up(AgentId),
    Suspect(AgentId),
    Cleared(AgentId),
    Down(AgentId, String),
}

impl EventLog {
    /// Merges what the tunnel room notes with the links and health checks.
    pub(super) fn new(tunnel: &Tunnel) -> Self {
        Self {
            links: Journal::new(LINK_CHANGES, &tunnel.numbers),
            clocks: Journal::new(CLOCK_CHANGES, &tunnel.numbers),
            sessions: tunnel.log.clone(),
            failovers: tunnel.failovers.clone(),
            health: HealthLog::new(&tunnel.numbers),
            numbers: tunnel.numbers.clone(),
            departed: Departed::default(),
            skews: Skews::default(),
        }
    }

    /// Where this agent's exit notes changes of its health checks.
    pub(super) fn health(&self) -> &HealthLog {
        &self.health
    }

    /// Notes a change of a link, if it is one.
    pub(super) fn note(&self, event: &LinkEvent) {
        let change = match event {
            LinkEvent::Up { neighbor, .. } => LinkChange::Up(*neighbor),
            LinkEvent::Suspect { neighbor, on: true } => LinkChange::Suspect(*neighbor),
            LinkEvent::Suspect {
                neighbor,
                on: false,
            } => LinkChange::Cleared(*neighbor),
            LinkEvent::Down { neighbor, reason } => {
                let reason = reason.to_string().chars().take(REASON).collect();
                LinkChange::Down(*neighbor, reason)
            }
            LinkEvent::Measured { .. }
            | LinkEvent::Message { .. }
            | LinkEvent::PathError { .. } => return,
        };
        self.links.record(change);
    }

    /// Notes an alarm, if it is about a clock; the others are about what stands in a file.
    pub(super) fn note_alarm(&self, alarm: &Alarm) {
        match alarm {
            Alarm::ClockSkew { origin, ahead_ms } => {
                self.skews.note(clock::now(), *origin, *ahead_ms);
                self.clocks.record(ClockChange::Skew(*origin, *ahead_ms));
            }
            Alarm::ClockSet { ahead_ms } => {
                self.clocks.record(ClockChange::Set(*ahead_ms));
            }
            Alarm::DuplicateIdentity { .. }
            | Alarm::RouteNotGranted { .. }
            | Alarm::TooManyRoutes { .. }
            | Alarm::TooManyNeighbors { .. }
            | Alarm::OwnCertificate(_)
            | Alarm::NotGranted { .. } => {}
        }
    }

    /// Events after number `since`, the newest last; all, if `since` is of an earlier process.
    pub(super) fn since(&self, since: u64) -> Vec<EventView> {
        let last = self.numbers.last();
        let since = if since > last { 0 } else { since };
        let mut events = Vec::new();
        collect(&mut events, self.links.snapshot(), link);
        collect(&mut events, self.clocks.snapshot(), clock_change);
        collect(&mut events, self.sessions.snapshot(), session);
        collect(&mut events, self.failovers.snapshot(), failover);
        collect(&mut events, self.failovers.recoveries(), recovery);
        collect(&mut events, self.health.snapshot(), health);
        events.retain(|event| since < event.number && event.number <= last);
        events.sort_by_key(|event| event.number);
        events
    }
}

fn collect<T>(events: &mut Vec<EventView>, entries: Vec<Entry<T>>, view: fn(T) -> EventKind) {
    events.extend(entries.into_iter().map(|entry| EventView {
        number: entry.number,
        at: format_time(entry.at_unix_ms),
        peer_name: None,
        what: view(entry.what),
    }));
}

fn link(change: LinkChange) -> EventKind {
    match change {
        LinkChange::Up(peer) => EventKind::LinkUp { peer },
        LinkChange::Suspect(peer) => EventKind::LinkSuspect { peer },
        LinkChange::Cleared(peer) => EventKind::LinkCleared { peer },
        LinkChange::Down(peer, reason) => EventKind::LinkDown { peer, reason },
    }
}

fn clock_change(change: ClockChange) -> EventKind {
    match change {
        ClockChange::Skew(peer, ahead_ms) => EventKind::ClockSkew { peer, ahead_ms },
        ClockChange::Set(ahead_ms) => EventKind::ClockSet { ahead_ms },
    }
}

fn session(change: SessionChange) -> EventKind {
    let (side, peer) = (side(change.side), change.peer);
    match change.ended {
        None => EventKind::SessionOpened { side, peer },
        Some(reason) => EventKind::SessionEnded { side, peer, reason },
    }
}

fn failover(failover: Failover) -> EventKind {
    EventKind::Failover(FailoverView {
        side: side(failover.side),
        peer: failover.peer,
        cause: failover.cause.as_str().to_owned(),
        from: failover.from,
        to: failover.to,
        detection_ms: failover.detected.map(millis),
        stall_ms: failover.stall.map(millis),
        in_flight_bytes: failover.in_flight,
    })
}

fn recovery(recovery: Recovery) -> EventKind {
    EventKind::Recovered {
        failover: recovery.failover,
        stall_ms: millis(recovery.stall),
    }
}

fn health(change: HealthChange) -> EventKind {
    let (check, route_count) = (change.check, change.route_count);
    let routes = change.routes.iter().map(ToString::to_string).collect();
    match change.failure {
        None => EventKind::HealthUp {
            check,
            routes,
            route_count,
        },
        Some(reason) => EventKind::HealthDown {
            check,
            reason,
            routes,
            route_count,
        },
    }
}

fn side(side: Side) -> SideView {
    match side {
        Side::Ingress => SideView::Ingress,
        Side::Exit => SideView::Exit,
    }
}

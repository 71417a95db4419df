//! What happened lately: where it is entered, and how it is told.

use super::departed::Departed;
use super::skew::Skews;
use crate::api::EventView;
use crate::clock::{self, format_time};
use crate::identity::AgentId;
use crate::link::LinkEvent;
use crate::record::{Event, Journal, SessionLog};
use crate::routing::Alarm;
use crate::text::reason;

/// Cloning shares it.
#[derive(Clone)]
pub(super) struct EventLog {
    pub(super) journal: Journal,
    /// Enters what happens to sessions into the journal.
    pub(super) sessions: SessionLog,
    /// Names of agents that events tell of and that have left.
    pub(super) departed: Departed,
    /// Clocks that differ now.
    pub(super) skews: Skews,
}

impl Default for EventLog {
    fn default() -> Self {
        let journal = Journal::default();
        Self {
            sessions: SessionLog::new(journal.clone()),
            journal,
            departed: Departed::default(),
            skews: Skews::default(),
        }
    }
}

impl EventLog {
    /// Notes a change of a link, if it is one.
    pub(super) fn note(&self, event: &LinkEvent) {
        let event = match event {
            LinkEvent::Up { neighbor, .. } => Event::LinkUp { peer: *neighbor },
            LinkEvent::Suspect { neighbor, on: true } => Event::LinkSuspect { peer: *neighbor },
            LinkEvent::Suspect {
                neighbor,
                on: false,
            } => Event::LinkCleared { peer: *neighbor },
            LinkEvent::Down {
                neighbor,
                reason: why,
            } => Event::LinkDown {
                peer: *neighbor,
                reason: reason(&why.to_string()),
            },
            LinkEvent::Measured { .. }
            | LinkEvent::Message { .. }
            | LinkEvent::PathError { .. } => return,
        };
        self.journal.record(event);
    }

    /// Notes an alarm, if it is about a clock; the others are about what stands in a file.
    pub(super) fn note_alarm(&self, alarm: &Alarm) {
        match alarm {
            Alarm::ClockSkew { origin, ahead_ms } => {
                let (peer, ahead_ms) = (*origin, *ahead_ms);
                self.skews.note(clock::now(), peer, ahead_ms);
                self.journal.record(Event::ClockSkew { peer, ahead_ms });
            }
            Alarm::ClockSet { ahead_ms } => {
                let ahead_ms = *ahead_ms;
                self.journal.record(Event::ClockSet { ahead_ms });
            }
            Alarm::DuplicateIdentity { .. }
            | Alarm::RouteNotGranted { .. }
            | Alarm::TooManyRoutes { .. }
            | Alarm::TooManyNeighbors { .. }
            | Alarm::OwnCertificate(_)
            | Alarm::NotGranted { .. } => {}
        }
    }

    /// Events after number `since`, the newest last; all, if `since` is of an earlier process. The
    /// other agent is called as `name` knows it.
    pub(super) fn since(
        &self,
        since: u64,
        name: impl Fn(AgentId) -> Option<String>,
    ) -> Vec<EventView> {
        let entries = self.journal.since(since).into_iter();
        let view = entries.map(|entry| EventView {
            number: entry.number,
            at: format_time(entry.at_unix_ms),
            peer_name: entry.what.peer().and_then(&name),
            what: entry.what,
        });
        view.collect()
    }
}

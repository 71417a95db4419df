//! The record of one failover while it happens: when the old path fell silent, when the session
//! acted, and when packets came again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::identity::AgentId;
use crate::routing::SwitchCause;
use crate::tunnel::failover::{Failover, Failovers};
use crate::tunnel::side::Side;
use crate::tunnel::socket::flow::Flow;

/// A session without packets for this long was idle: nothing was on its way, so nothing stalled.
const IDLE: Duration = Duration::from_millis(100);

/// When the stall is told: late enough for the first packets on the new path of every flow. On a long
/// path two round trips.
const SETTLED: Duration = Duration::from_secs(1);

/// Watches one session's failovers.
pub(crate) struct Rescue {
    failovers: Failovers,
    side: Side,
    peer: AgentId,
    flow: Arc<Flow>,
    alarm: Option<Alarm>,
    open: Option<Open>,
}

/// The path was doubted.
struct Alarm {
    at: Instant,
    /// The last sign of life.
    heard: Option<Instant>,
    busy: bool,
}

/// The session moved; what it cost is not known yet.
struct Open {
    number: u64,
    moved: Instant,
    settled: Instant,
    busy: bool,
}

/// A move to record.
pub(crate) struct Move {
    pub(crate) cause: SwitchCause,
    pub(crate) from: Vec<AgentId>,
    pub(crate) to: Vec<AgentId>,
    pub(crate) in_flight: u64,
    /// Of the new path, as far as it is known.
    pub(crate) rtt: Duration,
}

impl Rescue {
    pub(crate) fn new(failovers: Failovers, side: Side, peer: AgentId, flow: Arc<Flow>) -> Self {
        Self {
            failovers,
            side,
            peer,
            flow,
            alarm: None,
            open: None,
        }
    }

    /// The path fell silent. `heard` is its last sign of life, if it is known better than by the
    /// session's own packets.
    pub(crate) fn handle_alarm(&mut self, now: Instant, heard: Option<Instant>) {
        if self.alarm.is_none() {
            self.alarm = Some(self.raise(now, heard));
        }
    }

    /// The path was heard again.
    pub(crate) fn handle_all_clear(&mut self) {
        self.alarm = None;
    }

    /// The session moved.
    pub(crate) fn handle_move(&mut self, now: Instant, moved: Move) {
        let alarm = self.alarm.take().unwrap_or_else(|| self.raise(now, None));
        let silent = match moved.cause {
            SwitchCause::LinkDown | SwitchCause::Unanswered | SwitchCause::PeerMoved => true,
            SwitchCause::Found
            | SwitchCause::PathError
            | SwitchCause::PathGone
            | SwitchCause::Draining
            | SwitchCause::Better => false,
        };
        let detected = alarm.heard.filter(|_| silent || alarm.at < now);
        let number = self.failovers.begin(Failover {
            side: self.side,
            peer: self.peer,
            cause: moved.cause,
            from: moved.from,
            to: moved.to,
            detected: detected.map(|heard| alarm.at.saturating_duration_since(heard)),
            stall: None,
            in_flight: moved.in_flight,
        });
        self.open = Some(Open {
            number,
            moved: now,
            settled: now + SETTLED.max(moved.rtt * 2),
            busy: alarm.busy,
        });
    }

    /// When to tick; `None`: nothing is open.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.settled)
    }

    /// Time passed.
    pub(crate) fn handle_tick(&mut self, now: Instant) {
        let Some(open) = self.open.take_if(|open| now >= open.settled) else {
            return;
        };
        let resumed = self.flow.last_arrival().is_some_and(|at| at >= open.moved);
        if open.busy && resumed {
            self.failovers.complete(open.number, self.flow.take_gap());
        }
    }

    fn raise(&self, now: Instant, heard: Option<Instant>) -> Alarm {
        let arrived = self.flow.last_arrival();
        // From here on the longest gap counts, the one that is open included.
        if self.open.is_none() {
            self.flow.take_gap();
        }
        let waiting = self.flow.overdue_at(Duration::ZERO).is_some();
        let recent = arrived.is_some_and(|at| now.saturating_duration_since(at) < IDLE);
        Alarm {
            at: now,
            heard: heard.or(arrived),
            busy: waiting || recent,
        }
    }
}

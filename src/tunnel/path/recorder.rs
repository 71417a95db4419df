//! What a failover cost, while it happens: when the old path was doubted, when the session moved, and
//! when packets came again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::input::Traffic;
use super::output::Output;
use crate::identity::AgentId;
use crate::record::{Cause, Failover, Side};
use crate::routing::SwitchCause;

/// A session without packets for this long was idle: nothing was on its way, so nothing stalled.
const IDLE: Duration = Duration::from_millis(100);

/// When the stall is told: late enough for the first packets on the new path of every flow. On a long
/// path two round trips.
const SETTLED: Duration = Duration::from_secs(1);

/// Watches one session's failovers.
#[derive(Debug)]
pub(super) struct Recorder {
    side: Side,
    peer: AgentId,
    doubt: Option<Doubted>,
    open: Option<Open>,
}

/// The path was doubted, or lost.
#[derive(Debug)]
struct Doubted {
    at: Instant,
    /// The last sign of life.
    heard: Option<Instant>,
    busy: bool,
}

/// The session moved; what it cost is not known yet.
#[derive(Debug)]
struct Open {
    moved: Instant,
    settled: Instant,
    busy: bool,
}

/// A move to record.
pub(super) struct Move {
    pub(super) cause: SwitchCause,
    pub(super) from: Vec<AgentId>,
    pub(super) to: Vec<AgentId>,
    /// Of the new path, as far as it is known.
    pub(super) rtt: Duration,
}

impl Recorder {
    pub(super) fn new(side: Side, peer: AgentId) -> Self {
        Self {
            side,
            peer,
            doubt: None,
            open: None,
        }
    }

    /// The path is doubted, or lost. `heard` is its last sign of life, if it is known better than by
    /// the session's own packets.
    pub(super) fn handle_doubt(
        &mut self,
        now: Instant,
        heard: Option<Instant>,
        traffic: &Traffic,
        out: &mut VecDeque<Output>,
    ) {
        if self.doubt.is_none() {
            self.doubt = Some(self.begin(now, heard, traffic, out));
        }
    }

    /// The path is sound after all.
    pub(super) fn handle_cleared(&mut self) {
        self.doubt = None;
    }

    /// The session moved.
    pub(super) fn handle_move(
        &mut self,
        now: Instant,
        moved: Move,
        traffic: &Traffic,
        out: &mut VecDeque<Output>,
    ) {
        let doubt = self.doubt.take();
        let doubt = doubt.unwrap_or_else(|| self.begin(now, None, traffic, out));
        let silent = match moved.cause {
            SwitchCause::LinkDown | SwitchCause::Unanswered | SwitchCause::PeerMoved => true,
            SwitchCause::Found
            | SwitchCause::PathError
            | SwitchCause::PathGone
            | SwitchCause::Draining
            | SwitchCause::Better => false,
        };
        let detected = doubt.heard.filter(|_| silent || doubt.at < now);
        out.push_back(Output::Record(Failover {
            side: self.side,
            peer: self.peer,
            cause: Cause::Known(moved.cause),
            from: moved.from,
            to: moved.to,
            detected: detected.map(|heard| doubt.at.saturating_duration_since(heard)),
            stall: None,
            in_flight: traffic.in_flight,
        }));
        self.open = Some(Open {
            moved: now,
            settled: now + SETTLED.max(moved.rtt * 2),
            busy: doubt.busy,
        });
    }

    /// When to tick; `None`: nothing is open.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.settled)
    }

    /// Time passed.
    pub(super) fn handle_tick(
        &mut self,
        now: Instant,
        traffic: &Traffic,
        out: &mut VecDeque<Output>,
    ) {
        let Some(open) = self.open.take_if(|open| now >= open.settled) else {
            return;
        };
        let resumed = traffic.arrived.is_some_and(|at| at >= open.moved);
        if open.busy && resumed {
            out.push_back(Output::Settled);
        }
    }

    fn begin(
        &self,
        now: Instant,
        heard: Option<Instant>,
        traffic: &Traffic,
        out: &mut VecDeque<Output>,
    ) -> Doubted {
        // From here on the longest gap counts, the one that is open included.
        if self.open.is_none() {
            out.push_back(Output::WatchGap);
        }
        let arrived = traffic.arrived;
        let recent = arrived.is_some_and(|at| now.saturating_duration_since(at) < IDLE);
        Doubted {
            at: now,
            heard: heard.or(arrived),
            busy: traffic.unanswered.is_some() || recent,
        }
    }
}

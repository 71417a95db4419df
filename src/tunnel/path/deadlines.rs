//! Every time that path control waits for, and what a peer may make it do.
//!
//! The times of a doubt follow `connections.heartbeat`, as those of links do: whoever asks for a
//! heartbeat of half the length wants to wait half as long. Two things bound that.
//!
//! - Below, nothing is waited for more briefly than a healthy path may take, so the times have
//!   floors.
//! - Above the default heartbeat they stay as they are. A long heartbeat saves packets on a quiet
//!   link; doubt reads the session's own packets, costs nothing while they are answered, and two
//!   copies for a round trip if it was wrong.
//!
//! On long paths the times are a number of round trips.

use std::time::{Duration, Instant};

use super::input::Traffic;

/// At this heartbeat, the default, each time has the value that is given first to [`share`].
const REFERENCE: Duration = Duration::from_millis(100);

/// What an answer may take besides round trips: the delay of an acknowledgement, 25 ms
/// (`max_ack_delay`, RFC 9000 section 18.2; sessions ask for less, which the other end may not have
/// heard of yet), and the lateness of two busy agents.
const LEAST_SLACK: Duration = Duration::from_millis(40);

/// More probes than ten a second of each busy session would cost more than they tell.
const LEAST_BUSY: Duration = Duration::from_millis(100);

/// Three full-size probes at least are sent in it early enough to be answered, ten on a short path, as
/// one or two may be lost by chance.
const LEAST_VERDICT: Duration = Duration::from_millis(300);

/// Advertised round trips count from here on. Links know theirs as powers of √2, and young ones as too
/// long by the delay of an acknowledgement; and a shorter path answers twice before any verdict.
const LONG: Duration = Duration::from_millis(200);

/// The times of one agent's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// A path that was heard this recently is not doubted for want of the next answer, whenever the
    /// packets that wait for it left.
    pub(super) quiet: Duration,
    /// A packet's answer that takes longer than this, on a short path, is missed. With `quiet` it
    /// stays below the 1.5 heartbeats of a suspect link, so that a fault beyond the first link is
    /// bridged as fast; a short heartbeat's floor aside.
    pub(super) answer: Duration,
    /// The same for a probe's answer: as long as a silent link is trusted.
    pub(super) probe_answer: Duration,
    /// Both on long paths: two round trips and this.
    pub(super) slack: Duration,
    /// Time between two probes of the active path while packets come and go.
    pub(super) busy: Duration,
    /// How long a path stays unanswered while its backup answers before it counts as failed: three
    /// `busy` intervals (decision 0012).
    pub(super) verdict: Duration,
}

impl Timing {
    /// The times for agents whose links beat that often.
    pub(crate) fn new(heartbeat: Duration) -> Self {
        let share = |reference, least| share(heartbeat, reference, least);
        Self {
            quiet: share(30, Duration::ZERO),
            answer: share(70, LEAST_SLACK),
            probe_answer: share(150, LEAST_SLACK),
            slack: share(50, LEAST_SLACK),
            busy: share(200, LEAST_BUSY),
            verdict: share(600, LEAST_VERDICT),
        }
    }

    /// How long a packet's answer is waited for on a path of that round trip.
    pub(super) fn packet_wait(&self, rtt: Duration) -> Duration {
        self.answer.max(rtt * 2 + self.slack)
    }

    /// When the packets that wait for an answer will have waited too long on a path of that round
    /// trip; `None`: none waits.
    pub(super) fn unanswered_at(&self, traffic: &Traffic, rtt: Duration) -> Option<Instant> {
        let from = traffic.unanswered?.max(traffic.proved + self.quiet);
        Some(from + self.packet_wait(rtt))
    }

    /// How long a probe's answer is waited for on a path of that round trip.
    pub(super) fn probe_wait(&self, rtt: Duration) -> Duration {
        self.probe_answer.max(rtt * 2 + self.slack)
    }
}

/// What a path's round trip may be: `measured` by the session, perhaps on another path, but no less
/// than `advertised` by the links if that is long.
pub(super) fn round_trip(measured: Duration, advertised: Duration) -> Duration {
    match advertised >= LONG {
        true => measured.max(advertised),
        false => measured,
    }
}

/// `reference` milliseconds in proportion to the heartbeat, between `least` and themselves.
fn share(heartbeat: Duration, reference: u64, least: Duration) -> Duration {
    let reference = Duration::from_millis(reference);
    let scaled = reference.mul_f64(heartbeat.as_secs_f64() / REFERENCE.as_secs_f64());
    scaled.clamp(least, reference)
}

/// A session whose exit is out of sight this long is over: its streams end instead of hanging. A
/// transit that was the only way is back by then if it just restarted.
const OUT_OF_SIGHT: Duration = Duration::from_secs(5);

/// The same in round trips: twice what a new link takes.
const OUT_OF_SIGHT_ROUNDS: u32 = 12;

/// The same if agents that we see have lost the exit: it is most likely dead.
const CUT_OFF: Duration = Duration::from_secs(1);

/// The same in round trips: two for the dial, one for the hello, one for the news, and two more.
const CUT_OFF_ROUNDS: u32 = 6;

/// When a session is over that has had no path since `lost`, if it finds none. `cut_off` is since when
/// agents in reach have lost its exit, `rtt` the round trip that it had.
pub(super) fn given_up_at(lost: Instant, cut_off: Option<Instant>, rtt: Duration) -> Instant {
    // A link of a long path takes as many round trips to be found dead, dialled anew, greeted and told
    // of.
    let out_of_sight = lost + OUT_OF_SIGHT.max(rtt * OUT_OF_SIGHT_ROUNDS);
    let cut_off = cut_off.map(|since| since + CUT_OFF.max(rtt * CUT_OFF_ROUNDS));
    cut_off.map_or(out_of_sight, |at| at.min(out_of_sight))
}

/// Between two repeats of a probe, a kick or a word of doubt at first: each of them may be lost with
/// the path, and one that is lost costs no more than this.
const HURRY: Duration = Duration::from_millis(20);

/// At last: as far apart as probes of a busy path; the other end itself may be away.
const PATIENT: Duration = Duration::from_millis(200);

/// In between the part of the doubt's age that passes until the next one: 20 ms until it is 100 ms
/// old, by when both ends know of the usual doubt; 200 ms from a second on. So a doubt costs 5
/// repeats in its first 100 ms and a dozen in the rest of its first second.
const PART: u32 = 5;

/// The time from one repeat to the next in a doubt of that age.
pub(super) fn pace(age: Duration) -> Duration {
    (age / PART).clamp(HURRY, PATIENT)
}

/// A deadline looked at later than this was slept through: what would have met it may still wait in
/// our own sockets.
const LATE: Duration = Duration::from_millis(15);

/// What the sockets get to hand it over.
const EXCUSE: Duration = Duration::from_millis(20);

/// Judges one kind of deadline.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    /// A deadline that was looked at late, and when it is looked at again.
    excused: Option<(Instant, Instant)>,
}

impl Overdue {
    /// Whether `deadline` has passed while we were awake.
    pub(super) fn judge(&mut self, now: Instant, deadline: Instant) -> bool {
        let due = self.due(deadline);
        if now < due {
            return false;
        }
        if due == deadline && now - deadline > LATE {
            self.excused = Some((deadline, now + EXCUSE));
            return false;
        }
        true
    }

    /// When to look at `deadline`.
    pub(super) fn due(&self, deadline: Instant) -> Instant {
        match self.excused {
            Some((excused, again)) if excused == deadline => again,
            Some(_) | None => deadline,
        }
    }
}

/// What there is at first, and at most on a short path: many times what an honest peer's doubt takes
/// where another path answers, the time of a verdict. Where none does, its doubt may outlast this.
const MOST_CREDIT: Duration = Duration::from_secs(10);

/// What there is at most in round trips, of which a verdict takes two and its news one more: at 3 s of
/// round trip as many doubts as at 600 ms.
const MOST_CREDIT_ROUNDS: u32 = 16;

/// Round trips that count at most: a peer that delays its answers seems far away.
const LONGEST_RTT: Duration = Duration::from_secs(3);

/// It earns a second in so many: a session mirrors for a tenth of its life at most because its peer
/// says so.
const EARNED_IN: u32 = 10;

/// What a request to mirror costs beside its duration, however soon it is over, because it kicks: the
/// least time between two kicks. So kicks at a peer's word take a tenth of the time, too; and a
/// session that loses so many packets that it is doubted once a second, for 50 ms, keeps its credit.
const REQUEST: Duration = Duration::from_millis(20);

/// What a move costs, which is logged and recorded beside. 50 at once, then one every two seconds: one
/// session needs seven minutes to push all others out of the 256 failovers that are remembered.
const MOVE: Duration = Duration::from_millis(200);

/// A request begins only with so much left: longer than a verdict takes at the default heartbeat. With
/// less it would be over before it was of use, and its cost would eat up what is earned.
const ENOUGH: Duration = Duration::from_secs(1);

/// The same in round trips.
const ENOUGH_ROUNDS: u32 = 3;

/// What others may make one session do by their word alone: mirror, because the peer doubts the path,
/// will not say that it is sound, or a transit reports that it cannot forward; kick, because the peer
/// moved. A token bucket whose tokens are time.
#[derive(Debug)]
pub(super) struct Credit {
    left: Duration,
    rtt: Duration,
    /// When `left` was right.
    at: Instant,
    /// It is being spent: we mirror.
    spending: bool,
}

impl Credit {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: MOST_CREDIT,
            rtt: Duration::ZERO,
            at: now,
            spending: false,
        }
    }

    /// The path's round trip, which all times follow.
    pub(super) fn handle_rtt(&mut self, rtt: Duration) {
        self.rtt = rtt.min(LONGEST_RTT);
    }

    /// Pays for a move; `false`: there is not enough left.
    pub(super) fn pay_move(&mut self, now: Instant) -> bool {
        self.settle(now);
        let rest = self.left.checked_sub(MOVE);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    /// Pays for a request that lasts until [`end`](Self::end); `false`: there is not enough left.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        self.settle(now);
        let enough = self.left >= ENOUGH.max(self.rtt * ENOUGH_ROUNDS);
        if enough {
            self.left -= REQUEST;
            self.spending = true;
        }
        enough
    }

    /// From now on pays for what goes on anyway, until [`end`](Self::end): it is spent by its duration
    /// alone.
    pub(super) fn spend(&mut self, now: Instant) {
        self.settle(now);
        self.spending = true;
    }

    /// What was begun, if anything, is over.
    pub(super) fn end(&mut self, now: Instant) {
        self.settle(now);
        self.spending = false;
    }

    /// When what was begun must end; `None`: nothing was.
    pub(super) fn spent_at(&self) -> Option<Instant> {
        self.spending.then(|| self.at + self.left)
    }

    fn settle(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        self.left = match self.spending {
            true => self.left.saturating_sub(passed),
            false => {
                let most = MOST_CREDIT
                    .max(self.rtt * MOST_CREDIT_ROUNDS)
                    .max(self.left);
                most.min(self.left + passed / EARNED_IN)
            }
        };
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests;

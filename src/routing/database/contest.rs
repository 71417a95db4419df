//! Two processes with one key, and the remains of an earlier process that had it.
//!
//! A restarted agent may meet its predecessor's advertisements from a later epoch than its own (the
//! epoch file was lost, the clock went back). It moves past them. A living second process looks the
//! same at first, but answers: it moves past us in turn and names our incarnation in its stamp. That
//! proves a duplicate; then the older incarnation falls silent and the newer one goes on.

use std::time::{Duration, Instant};

use super::time::{TELL_INTERVAL, due};
use crate::wire::{Stamp, Version};

/// Least time between two moves past another process, so that two which cannot decide (clones of
/// one machine's memory) do not flood the mesh.
const MOVE_INTERVAL: Duration = Duration::from_secs(1);

/// What an advertisement in our name, but not of our making, asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// Our own words, or older than ours.
    Ignore,
    /// Move past it; it may be a dead process's.
    MovePast,
    /// Another process lives; it is not newer. Move past it and raise the alarm.
    Outlast,
    /// Another process lives and is newer: fall silent and raise the alarm.
    Yield,
}

/// Our side of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) incarnation: u64,
    pub(super) epoch: u64,
    pub(super) sequence: u64,
    /// The version that we issued of the same object, if any.
    pub(super) issued: Option<Version>,
}

/// Decides by the stamp of a verified advertisement in our name and its version.
pub(super) fn rule(own: &Claim, stamp: &Stamp, version: &Version) -> Ruling {
    if stamp.incarnation == own.incarnation {
        let ahead = (version.epoch, version.sequence) > (own.epoch, own.sequence);
        let differs = own.issued.is_some_and(|issued| {
            (issued.epoch, issued.sequence) == (version.epoch, version.sequence)
                && issued.check != version.check
        });
        return if ahead || differs {
            Ruling::Outlast
        } else {
            Ruling::Ignore
        };
    }
    let ahead = version.epoch >= own.epoch;
    if stamp.answers == own.incarnation {
        return if stamp.incarnation > own.incarnation {
            Ruling::Yield
        } else if ahead {
            Ruling::Outlast
        } else {
            Ruling::Ignore
        };
    }
    if ahead {
        Ruling::MovePast
    } else {
        Ruling::Ignore
    }
}

/// A contest under way, and when it last made us act.
#[derive(Clone, Debug, Default)]
pub(super) struct Contest {
    /// Epoch and incarnation to move past, and since when.
    pending: Option<(u64, u64, Instant)>,
    moved: Option<Instant>,
    alarmed: Option<Instant>,
    /// Another process was seen alive; believed until then.
    pub(super) disputed_until: Option<Instant>,
    /// Highest foreign epoch seen.
    pub(super) highest: u64,
}

impl Contest {
    pub(super) fn note(&mut self, epoch: u64) {
        self.highest = self.highest.max(epoch);
    }

    pub(super) fn want_move(&mut self, now: Instant, epoch: u64, incarnation: u64) {
        if self.pending.is_none_or(|(pending, _, _)| pending < epoch) {
            self.pending = Some((epoch, incarnation, now));
        }
    }

    /// When the wanted move may be made.
    pub(super) fn move_due(&self) -> Option<Instant> {
        let (_, _, since) = self.pending?;
        Some(self.moved.map_or(since, |moved| moved + MOVE_INTERVAL))
    }

    /// Takes the wanted move if it may be made now: epoch and incarnation to move past.
    pub(super) fn take_move(&mut self, now: Instant) -> Option<(u64, u64)> {
        if self.move_due()? > now {
            return None;
        }
        self.moved = Some(now);
        let (epoch, incarnation, _) = self.pending.take()?;
        Some((epoch, incarnation))
    }

    pub(super) fn abandon_move(&mut self) {
        self.pending = None;
    }

    /// Whether an alarm is due; if so it counts as raised.
    pub(super) fn take_alarm(&mut self, now: Instant) -> bool {
        due(&mut self.alarmed, now, TELL_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::AgentId;

    fn ruling(incarnation: u64, answers: u64, epoch: u64, sequence: u64) -> Ruling {
        let own = Claim {
            incarnation: 100,
            epoch: 150,
            sequence: 5,
            issued: Some(Version {
                epoch: 150,
                sequence: 5,
                check: 1,
            }),
        };
        let stamp = Stamp {
            origin: AgentId([1; 16]),
            certificate_hash: [0; 32],
            epoch,
            sequence,
            issued_at_ms: 0,
            lifetime_ms: 0,
            max_hops: 1,
            incarnation,
            answers,
        };
        let version = Version {
            epoch,
            sequence,
            check: 1,
        };
        rule(&own, &stamp, &version)
    }

    #[test]
    fn every_case_of_another_process() {
        assert_eq!(ruling(100, 0, 150, 5), Ruling::Ignore, "echo");
        assert_eq!(ruling(100, 0, 150, 4), Ruling::Ignore, "old echo");
        assert_eq!(ruling(100, 0, 150, 6), Ruling::Outlast, "a clone is ahead");
        assert_eq!(ruling(90, 0, 149, 9), Ruling::Ignore, "remains");
        assert_eq!(ruling(90, 0, 150, 1), Ruling::MovePast, "remains ahead");
        assert_eq!(ruling(200, 0, 200, 1), Ruling::MovePast, "remains or newer");
        assert_eq!(ruling(200, 100, 151, 1), Ruling::Yield, "newer and alive");
        assert_eq!(ruling(200, 100, 140, 1), Ruling::Yield, "newer, behind");
        assert_eq!(ruling(90, 100, 151, 1), Ruling::Outlast, "older and alive");
        assert_eq!(ruling(90, 100, 140, 1), Ruling::Ignore, "older, behind");
    }

    #[test]
    fn moves_are_rate_limited_and_remember_the_highest() {
        let start = Instant::now();
        let mut contest = Contest::default();
        assert_eq!(contest.take_move(start), None);
        contest.want_move(start, 5, 1);
        contest.want_move(start, 4, 9);
        assert_eq!(contest.take_move(start), Some((5, 1)));
        contest.want_move(start, 6, 1);
        assert_eq!(contest.take_move(start), None);
        assert_eq!(contest.move_due(), Some(start + MOVE_INTERVAL));
        assert_eq!(contest.take_move(start + MOVE_INTERVAL), Some((6, 1)));
    }
}

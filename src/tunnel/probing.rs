//! The probes of one opened session: when they are due, how long they are, and which are on their
//! way.
//!
//! A probe as long as the session's packets proves that the path passes those. In haste, while a
//! path is doubted or not confirmed, all carry their flags in time, and some are that long; all of
//! them, as soon as a short one was answered: the path passes something, so a full one that was lost
//! is worth repeating, and the transit is not one that fell silent on all its sessions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pace::pace;
use super::probe::{Flags, Probe, ProbeKey};
use super::prober::Prober;
use super::timing::Timing;
use crate::identity::ShortId;

/// Probes of a quiet session: often enough to keep round trips fresh and to notice a dead path
/// before the next packet does.
const QUIET: Duration = Duration::from_secs(1);

/// How long a probe of the backup waits until another backup is looked for: three misses of one a
/// second. On long paths two round trips and a second.
const BACKUP_SILENT: Duration = Duration::from_secs(3);

/// In haste one probe in so many has full size, the first of them included: thousands of sessions may
/// be in haste at once, where one transit fell silent. Until a short one is answered.
const FULL_IN_HASTE: u32 = 5;

/// Probes on their way that are remembered: ten a second for the 18 s that two hops of 3 s take whose
/// jitter is as long each way.
const OUTSTANDING: usize = 256;

/// A session's probes, sent and counted.
pub(super) struct Probing {
    prober: Arc<Prober>,
    key: Arc<ProbeKey>,
    /// Bytes of a probe's payload: those of the session's packets.
    size: usize,
    timing: Timing,
    sequence: u64,
    /// Oldest first.
    outstanding: VecDeque<Sent>,
    missed: u64,
    /// The exit has answered a probe of the active path.
    confirmed: bool,
    /// When the active path was taken. Until it is confirmed the exit answers along the old one.
    moved: Instant,
    /// The active path was doubted at the last tick.
    hurried: bool,
    active: Lane,
    backup: Lane,
    /// The backup that was probed last.
    shown: Vec<ShortId>,
}

/// The schedule of one path's probes.
struct Lane {
    next: Instant,
    /// Probes sent since haste began.
    hasty: u32,
    /// A short one was answered since.
    passes: bool,
}

/// A session's paths as headers carry them.
#[derive(Clone, Copy)]
pub(super) struct Ways<'a> {
    pub(super) active: Option<&'a [ShortId]>,
    pub(super) backup: Option<&'a [ShortId]>,
}

/// Which path a probe was sent along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Active,
    Backup,
}

/// A probe on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    sequence: u64,
    pub(super) at: Instant,
    pub(super) way: Way,
    /// As long as the session's packets.
    pub(super) full: bool,
}

impl Probing {
    /// None on their way. A payload has `size` bytes.
    pub(super) fn new(
        now: Instant,
        prober: Arc<Prober>,
        key: Arc<ProbeKey>,
        size: usize,
        timing: Timing,
    ) -> Self {
        Self {
            prober,
            key,
            size,
            timing,
            sequence: 0,
            outstanding: VecDeque::new(),
            missed: 0,
            confirmed: false,
            moved: now,
            hurried: false,
            active: Lane::due(now),
            backup: Lane::due(now),
            shown: Vec::new(),
        }
    }

    /// When to tick.
    pub(super) fn due(&self) -> Instant {
        self.active.next.min(self.backup.next)
    }

    /// Sends due probes. `activity` is when packets of the session last came or went; `hurry` is how
    /// far apart probes are while the active path is doubted. The first of them leave at once: they
    /// tell the exit.
    pub(super) fn handle_tick(
        &mut self,
        now: Instant,
        ways: Ways<'_>,
        activity: Option<Instant>,
        hurry: Option<Duration>,
    ) {
        let doubt = hurry.is_some();
        if doubt && !std::mem::replace(&mut self.hurried, doubt) {
            (self.active, self.backup) = (Lane::due(now), Lane::due(now));
        }
        self.hurried = doubt;
        // The exit mirrors and complains along the last backup that it was shown.
        if let Some(backup) = ways.backup.filter(|backup| *backup != self.shown) {
            self.shown = backup.to_vec();
            self.backup = Lane::due(now);
        }
        if now >= self.active.next {
            let is_busy = activity.is_some_and(|at| now.saturating_duration_since(at) < QUIET);
            let interval = match hurry {
                Some(pace) => pace,
                None if ways.active.is_none() => QUIET,
                None if !self.confirmed => pace(now.saturating_duration_since(self.moved)),
                None if is_busy => self.timing.busy,
                None => QUIET,
            };
            self.active.next = now + interval;
            if let Some(active) = ways.active {
                let full = self.active.is_full(doubt || !self.confirmed);
                self.send(now, active, Way::Active, doubt, full);
            }
        }
        if now >= self.backup.next {
            self.backup.next = now + hurry.unwrap_or(QUIET);
            if let Some(backup) = ways.backup {
                let full = self.backup.is_full(doubt);
                self.send(now, backup, Way::Backup, doubt, full);
            }
        }
    }

    /// The session took another path: what the old one still says does not confirm it.
    pub(super) fn handle_moved(&mut self, now: Instant) {
        self.forget();
        (self.confirmed, self.moved) = (false, now);
        // The exit must know another way, too, before it needs it.
        (self.active, self.backup) = (Lane::due(now), Lane::due(now));
    }

    /// Probes the active path at the next tick.
    pub(super) fn hasten(&mut self, now: Instant) {
        self.active.next = now;
    }

    fn send(&mut self, now: Instant, hops: &[ShortId], way: Way, doubt: bool, full: bool) {
        self.sequence += 1;
        let probe = Probe {
            tag: self.key.tag,
            sequence: self.sequence,
            flags: Flags {
                active: way == Way::Active,
                doubt,
                signal: false,
            },
        };
        let size = if full { self.size } else { 0 };
        self.prober.send(&self.key, hops, probe, size);
        self.outstanding.push_back(Sent {
            sequence: self.sequence,
            at: now,
            way,
            full,
        });
        if self.outstanding.len() > OUTSTANDING {
            self.outstanding.pop_front();
        }
    }

    /// The probe that was answered; older ones of the same path are no longer waited for, unless they
    /// were longer.
    pub(super) fn handle_reply(&mut self, sequence: u64) -> Option<Sent> {
        let found = |sent: &&Sent| sent.sequence == sequence;
        let answered = *self.outstanding.iter().find(found)?;
        let (before, way) = (self.outstanding.len(), answered.way);
        self.outstanding.retain(|sent| {
            let longer = sent.full && !answered.full;
            sent.way != way || sent.sequence > sequence || longer
        });
        if !answered.full {
            match way {
                Way::Active => self.active.passes = true,
                Way::Backup => self.backup.passes = true,
            }
        }
        self.missed += (before - self.outstanding.len() - 1) as u64;
        if way == Way::Active && !std::mem::replace(&mut self.confirmed, true) {
            self.show_again(answered.at);
        }
        Some(answered)
    }

    /// The exit answers, so it knows the session by now. The backup's probe may have come before that,
    /// and the next one is far off.
    fn show_again(&mut self, due: Instant) {
        if self.outstanding.iter().any(|sent| sent.way == Way::Backup) {
            self.backup.next = due;
        }
    }

    /// When the oldest probe of the active path is missed, on a path of that round trip.
    pub(super) fn overdue_at(&self, rtt: Duration) -> Option<Instant> {
        let active = |sent: &&Sent| sent.way == Way::Active;
        let oldest = self.outstanding.iter().find(active)?;
        Some(oldest.at + self.timing.probe_wait(rtt))
    }

    /// Whether a probe of the backup, which has that round trip, has waited for its answer so long
    /// that the backup looks dead.
    pub(super) fn is_backup_silent(&self, now: Instant, rtt: Duration) -> bool {
        let oldest = self.outstanding.iter().find(|sent| sent.way == Way::Backup);
        let most = BACKUP_SILENT.max(rtt * 2 + QUIET);
        oldest.is_some_and(|sent| now.saturating_duration_since(sent.at) > most)
    }

    /// Waits for none of those on their way: the paths changed, or were judged by them.
    pub(super) fn forget(&mut self) {
        self.outstanding.clear();
    }

    /// Probes that were not answered though later ones of the same path were.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }
}

impl Lane {
    fn due(now: Instant) -> Self {
        Self {
            next: now,
            hasty: 0,
            passes: false,
        }
    }

    /// Whether the probe that leaves now has full size.
    fn is_full(&mut self, haste: bool) -> bool {
        let full = !haste || self.passes || self.hasty.is_multiple_of(FULL_IN_HASTE);
        self.hasty = if haste { self.hasty + 1 } else { 0 };
        full
    }
}

#[cfg(test)]
mod tests;

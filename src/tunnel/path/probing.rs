//! The probes of one opened session: when they are due, how long they are, and which are on their
//! way.
//!
//! A probe as long as the session's packets proves that the path passes those. In haste, while a
//! path is doubted or not confirmed, all carry their flags in time, and some are that long; all of
//! them, as soon as a short one was answered: the path passes something, so a full one that was lost
//! is worth repeating, and the transit is not one that fell silent on all its sessions.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::deadlines::{Timing, pace};
use super::output::{Output, Way};
use super::probe::Flags;
use crate::identity::ShortId;
use crate::wire::packet::header_len;

/// Probes of a quiet session: often enough to keep round trips fresh and to notice a dead path
/// before the next packet does.
const QUIET: Duration = Duration::from_secs(1);

/// How long a probe of the backup waits until another backup is looked for: three misses of one a
/// second. On long paths two round trips and a second.
const BACKUP_SILENT: Duration = Duration::from_secs(3);

/// In haste one probe in so many has full size, the first of them included: thousands of sessions may
/// be in haste at once, where one transit fell silent. Until a short one is answered.
const FULL_IN_HASTE: u32 = 5;

/// Full probes that are missing while short ones pass until a path counts as too narrow: one may be
/// lost by chance.
const FULL_MISSED: usize = 2;

/// Between two looks whether a narrow path is wide again.
const WIDEN: Duration = Duration::from_secs(2);

/// Probes on their way that are remembered: ten a second for the 18 s that two hops of 3 s take whose
/// jitter is as long each way.
const OUTSTANDING: usize = 256;

/// A session's probes, sent and counted.
#[derive(Debug)]
pub(super) struct Probing {
    /// Bytes of a full probe's payload: those of the session's packets.
    size: usize,
    timing: Timing,
    sequence: u64,
    /// Oldest first.
    outstanding: VecDeque<Sent>,
    missed: u64,
    /// When the active path was taken, if it has not been confirmed: until the exit answers a probe of
    /// it, it answers packets along the old one.
    unconfirmed: Option<Instant>,
    active: Schedule,
    backup: Schedule,
    /// The backup that was probed last.
    shown: Vec<ShortId>,
    /// When it is looked again whether a narrow path is wide.
    widen: Instant,
    /// When the latest short probe of the active path left that was answered.
    short: Option<Instant>,
}

/// When one path is probed.
#[derive(Debug)]
struct Schedule {
    next: Instant,
    /// Probes sent since haste began.
    hasty: u32,
    /// A short one was answered since.
    passes: bool,
}

/// What a turn of the session says to its probes.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    /// A full probe of a path is no longer than its width allows.
    pub(super) active: Option<&'a Way>,
    pub(super) backup: Option<&'a Way>,
    /// The active path was found too narrow for the session's packets.
    pub(super) narrow: bool,
    /// When packets of the session last came or went.
    pub(super) activity: Option<Instant>,
    /// How far apart probes are while the active path is doubted; `None`: it is not.
    pub(super) doubt: Option<Duration>,
}

/// What a probe was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    Active,
    Backup,
    /// The active path again, to see whether it is wide by now.
    Wide,
}

/// A probe on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    sequence: u64,
    pub(super) at: Instant,
    pub(super) aim: Aim,
    /// As long as the session's packets.
    pub(super) full: bool,
}

impl Probing {
    /// None on their way. A payload has `size` bytes.
    pub(super) fn new(now: Instant, size: usize, timing: Timing) -> Self {
        Self {
            size,
            timing,
            sequence: 0,
            outstanding: VecDeque::new(),
            missed: 0,
            unconfirmed: Some(now),
            active: Schedule::due(now),
            backup: Schedule::due(now),
            shown: Vec::new(),
            widen: now,
            short: None,
        }
    }

    /// When to tick.
    pub(super) fn due(&self) -> Instant {
        self.active.next.min(self.backup.next)
    }

    /// The active path is doubted from now on: probes leave at once, because they tell the exit.
    pub(super) fn handle_doubt(&mut self, now: Instant) {
        (self.active, self.backup) = (Schedule::due(now), Schedule::due(now));
    }

    /// Sends due probes.
    pub(super) fn handle_tick(&mut self, now: Instant, turn: Turn<'_>, out: &mut VecDeque<Output>) {
        // The exit mirrors and complains along the last backup that it was shown.
        if let Some(backup) = turn.backup.filter(|backup| backup.hops != self.shown) {
            self.shown.clone_from(&backup.hops);
            self.backup = Schedule::due(now);
        }
        let doubted = turn.doubt.is_some();
        if now >= self.active.next {
            self.active.next = now + self.interval(now, turn);
            if let Some(active) = turn.active {
                let full = self.active.is_full(doubted || self.unconfirmed.is_some());
                let size = full.then(|| self.size_within(active));
                out.push_back(self.send(now, active, Aim::Active, turn, size));
            }
        }
        if let Some(active) = turn.active.filter(|_| turn.narrow && now >= self.widen) {
            self.widen = now + WIDEN;
            out.push_back(self.send(now, active, Aim::Wide, turn, Some(self.size)));
        }
        if now >= self.backup.next {
            self.backup.next = now + turn.doubt.unwrap_or(QUIET);
            if let Some(backup) = turn.backup {
                let full = self.backup.is_full(doubted);
                let size = full.then(|| self.size_within(backup));
                out.push_back(self.send(now, backup, Aim::Backup, turn, size));
            }
        }
    }

    /// From one probe of the active path to the next.
    fn interval(&self, now: Instant, turn: Turn<'_>) -> Duration {
        let since = |at: Instant| now.saturating_duration_since(at);
        match (turn.doubt, turn.active, self.unconfirmed) {
            (Some(pace), _, _) => pace,
            (None, None, _) => QUIET,
            (None, Some(_), Some(taken)) => pace(since(taken)),
            (None, Some(_), None) if turn.activity.is_some_and(|at| since(at) < QUIET) => {
                self.timing.busy
            }
            (None, Some(_), None) => QUIET,
        }
    }

    /// The session took another path: what the old one still says does not confirm it.
    pub(super) fn handle_moved(&mut self, now: Instant) {
        self.forget();
        self.unconfirmed = Some(now);
        // The exit must know another way, too, before it needs it.
        (self.active, self.backup) = (Schedule::due(now), Schedule::due(now));
    }

    /// Probes the active path at the next tick.
    pub(super) fn hasten(&mut self, now: Instant) {
        self.active.next = now;
    }

    /// Bytes of a full probe's payload on that path.
    fn size_within(&self, way: &Way) -> usize {
        match way.width {
            0 => self.size,
            width => self
                .size
                .min(usize::from(width).saturating_sub(header_len(way.hops.len()))),
        }
    }

    /// `size`: it has full size, of so many bytes.
    fn send(
        &mut self,
        now: Instant,
        way: &Way,
        aim: Aim,
        turn: Turn<'_>,
        size: Option<usize>,
    ) -> Output {
        self.sequence += 1;
        self.outstanding.push_back(Sent {
            sequence: self.sequence,
            at: now,
            aim,
            full: size.is_some(),
        });
        if self.outstanding.len() > OUTSTANDING {
            self.outstanding.pop_front();
        }
        Output::Probe {
            hops: way.hops.clone(),
            sequence: self.sequence,
            flags: Flags {
                active: aim != Aim::Backup,
                doubt: turn.doubt.is_some(),
                signal: false,
                narrow: turn.narrow,
            },
            size: size.unwrap_or(0),
        }
    }

    /// The probe that was answered; older ones of the same path are no longer waited for, unless they
    /// were longer.
    pub(super) fn handle_reply(&mut self, sequence: u64) -> Option<Sent> {
        let found = |sent: &&Sent| sent.sequence == sequence;
        let answered = *self.outstanding.iter().find(found)?;
        let (before, aim) = (self.outstanding.len(), answered.aim);
        self.outstanding.retain(|sent| {
            let longer = sent.full && !answered.full;
            sent.aim != aim || sent.sequence > sequence || longer
        });
        if !answered.full {
            match aim {
                Aim::Active => {
                    self.active.passes = true;
                    self.short = self.short.max(Some(answered.at));
                }
                Aim::Backup => self.backup.passes = true,
                Aim::Wide => {}
            }
        }
        self.missed += (before - self.outstanding.len() - 1) as u64;
        if aim == Aim::Active && self.unconfirmed.take().is_some() {
            self.show_again(answered.at);
        }
        Some(answered)
    }

    /// The exit answers, so it knows the session by now. The backup's probe may have come before that,
    /// and the next one is far off.
    fn show_again(&mut self, due: Instant) {
        if self.outstanding.iter().any(|sent| sent.aim == Aim::Backup) {
            self.backup.next = due;
        }
    }

    /// When the oldest probe of the active path is missed, on a path of that round trip.
    pub(super) fn missed_at(&self, rtt: Duration) -> Option<Instant> {
        let active = |sent: &&Sent| sent.aim == Aim::Active;
        let oldest = self.outstanding.iter().find(active)?;
        Some(oldest.at + self.timing.probe_wait(rtt))
    }

    /// Whether a probe of the backup, which has that round trip, has waited for its answer so long
    /// that the backup looks dead.
    pub(super) fn is_backup_silent(&self, now: Instant, rtt: Duration) -> bool {
        let oldest = self.outstanding.iter().find(|sent| sent.aim == Aim::Backup);
        let most = BACKUP_SILENT.max(rtt * 2 + QUIET);
        oldest.is_some_and(|sent| now.saturating_duration_since(sent.at) > most)
    }

    /// Whether the active path passes short probes and no full ones: two are missing since a short one
    /// passed, or since just before.
    pub(super) fn is_too_narrow(&self, now: Instant, rtt: Duration) -> bool {
        let Some(short) = self.short else {
            return false;
        };
        let late = rtt * 2 + self.timing.slack;
        let since = short.checked_sub(late).unwrap_or(short);
        let missing = |sent: &&Sent| {
            let waits = now.saturating_duration_since(sent.at) >= late;
            sent.aim == Aim::Active && sent.full && waits && sent.at >= since
        };
        self.outstanding.iter().filter(missing).count() >= FULL_MISSED
    }

    /// Waits for none of those on their way: the paths changed, or were judged by them.
    pub(super) fn forget(&mut self) {
        self.outstanding.clear();
        self.short = None;
    }

    /// Probes that were not answered though later ones of the same path were.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }
}

impl Schedule {
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

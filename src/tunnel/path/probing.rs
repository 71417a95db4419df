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
use super::timing::Timing;
use crate::identity::ShortId;
use crate::tunnel::socket::prober::Prober;
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
pub(crate) struct Probing {
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
    narrow: bool,
    /// When it is looked again whether a narrow path is wide.
    widen: Instant,
    /// When the latest short probe of the active path left that was answered.
    short: Option<Instant>,
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
pub(crate) struct Ways<'a> {
    pub(crate) active: Option<&'a [ShortId]>,
    pub(crate) backup: Option<&'a [ShortId]>,
    /// UDP payloads that pass them as far as is known, bytes; 0: any. A full probe is no longer.
    pub(crate) widths: [u16; 2],
    /// The active path was found too narrow for the session's packets.
    pub(crate) narrow: bool,
}

/// Which path a probe was sent along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Active,
    Backup,
    /// The active path again, to see whether it is wide by now.
    Wide,
}

/// A probe on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    sequence: u64,
    pub(crate) at: Instant,
    pub(crate) way: Way,
    /// As long as the session's packets.
    pub(crate) full: bool,
}

impl Probing {
    /// None on their way. A payload has `size` bytes.
    pub(crate) fn new(
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
            narrow: false,
            widen: now,
            short: None,
        }
    }

    /// When to tick.
    pub(crate) fn due(&self) -> Instant {
        self.active.next.min(self.backup.next)
    }

    /// Sends due probes. `activity` is when packets of the session last came or went; `hurry` is how
    /// far apart probes are while the active path is doubted. The first of them leave at once: they
    /// tell the exit.
    pub(crate) fn handle_tick(
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
        self.narrow = ways.narrow;
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
                let size = full.then(|| self.size_within(active, ways.widths[0]));
                self.send(now, active, Way::Active, doubt, size);
            }
        }
        if let Some(active) = ways.active.filter(|_| ways.narrow && now >= self.widen) {
            self.widen = now + WIDEN;
            self.send(now, active, Way::Wide, doubt, Some(self.size));
        }
        if now >= self.backup.next {
            self.backup.next = now + hurry.unwrap_or(QUIET);
            if let Some(backup) = ways.backup {
                let full = self.backup.is_full(doubt);
                let size = full.then(|| self.size_within(backup, ways.widths[1]));
                self.send(now, backup, Way::Backup, doubt, size);
            }
        }
    }

    /// The session took another path: what the old one still says does not confirm it.
    pub(crate) fn handle_moved(&mut self, now: Instant) {
        self.forget();
        (self.confirmed, self.moved) = (false, now);
        // The exit must know another way, too, before it needs it.
        (self.active, self.backup) = (Lane::due(now), Lane::due(now));
    }

    /// Probes the active path at the next tick.
    pub(crate) fn hasten(&mut self, now: Instant) {
        self.active.next = now;
    }

    /// Bytes of a full probe's payload on that path.
    fn size_within(&self, hops: &[ShortId], width: u16) -> usize {
        match width {
            0 => self.size,
            width => self
                .size
                .min(usize::from(width).saturating_sub(header_len(hops.len()))),
        }
    }

    /// `size`: it has full size, of so many bytes.
    fn send(&mut self, now: Instant, hops: &[ShortId], way: Way, doubt: bool, size: Option<usize>) {
        self.sequence += 1;
        let probe = Probe {
            tag: self.key.tag,
            sequence: self.sequence,
            flags: Flags {
                active: way != Way::Backup,
                doubt,
                signal: false,
                narrow: self.narrow,
            },
        };
        self.prober.send(&self.key, hops, probe, size.unwrap_or(0));
        self.outstanding.push_back(Sent {
            sequence: self.sequence,
            at: now,
            way,
            full: size.is_some(),
        });
        if self.outstanding.len() > OUTSTANDING {
            self.outstanding.pop_front();
        }
    }

    /// The probe that was answered; older ones of the same path are no longer waited for, unless they
    /// were longer.
    pub(crate) fn handle_reply(&mut self, sequence: u64) -> Option<Sent> {
        let found = |sent: &&Sent| sent.sequence == sequence;
        let answered = *self.outstanding.iter().find(found)?;
        let (before, way) = (self.outstanding.len(), answered.way);
        self.outstanding.retain(|sent| {
            let longer = sent.full && !answered.full;
            sent.way != way || sent.sequence > sequence || longer
        });
        if !answered.full {
            match way {
                Way::Active => {
                    self.active.passes = true;
                    self.short = self.short.max(Some(answered.at));
                }
                Way::Backup => self.backup.passes = true,
                Way::Wide => {}
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
    pub(crate) fn overdue_at(&self, rtt: Duration) -> Option<Instant> {
        let active = |sent: &&Sent| sent.way == Way::Active;
        let oldest = self.outstanding.iter().find(active)?;
        Some(oldest.at + self.timing.probe_wait(rtt))
    }

    /// Whether a probe of the backup, which has that round trip, has waited for its answer so long
    /// that the backup looks dead.
    pub(crate) fn is_backup_silent(&self, now: Instant, rtt: Duration) -> bool {
        let oldest = self.outstanding.iter().find(|sent| sent.way == Way::Backup);
        let most = BACKUP_SILENT.max(rtt * 2 + QUIET);
        oldest.is_some_and(|sent| now.saturating_duration_since(sent.at) > most)
    }

    /// Whether the active path passes short probes and no full ones: two are missing since a short one
    /// passed, or since just before.
    pub(crate) fn is_too_narrow(&self, now: Instant, rtt: Duration) -> bool {
        let Some(short) = self.short else {
            return false;
        };
        let late = rtt * 2 + self.timing.slack;
        let since = short.checked_sub(late).unwrap_or(short);
        let missing = |sent: &&Sent| {
            let waits = now.saturating_duration_since(sent.at) >= late;
            sent.way == Way::Active && sent.full && waits && sent.at >= since
        };
        self.outstanding.iter().filter(missing).count() >= FULL_MISSED
    }

    /// Waits for none of those on their way: the paths changed, or were judged by them.
    pub(crate) fn forget(&mut self) {
        self.outstanding.clear();
        self.short = None;
    }

    /// Probes that were not answered though later ones of the same path were.
    pub(crate) fn missed(&self) -> u64 {
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

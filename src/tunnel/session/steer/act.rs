//! What a steering task does: moves the session, mirrors, kicks, probes, and tells of all this.

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::Task;
use crate::routing::{Avoid, Path, SwitchCause, Switched};
use crate::tunnel::path::SMALLEST;
use crate::tunnel::path::probing::Ways;
use crate::tunnel::path::rescue::Move;
use crate::tunnel::session::open::{MeshView, short_hops};

impl<V: MeshView> Task<V> {
    /// Carries out what the choice decided.
    pub(super) fn apply_switches(&mut self, now: Instant) {
        let (mut moved, mut left) = (false, false);
        while let Some(switch) = self.choice.poll_event() {
            moved |= switch.to.is_some();
            left |= switch.from.is_some() || self.had_path;
            self.report(now, switch);
        }
        if !moved {
            return;
        }
        // A move leaves no backup until the paths are looked at again.
        self.look_at_paths(now);
        self.doubt.handle_moved(now);
        self.doubted = false;
        if let Some(first_hop) = self.choice.active().map(Path::first_hop) {
            let suspect = self.view.borrow().is_suspect(first_hop);
            self.suspect(now, first_hop, suspect);
        }
        self.steering.flow.forgive();
        self.probing.handle_moved(now);
        self.route();
        // On its first path a session has lost nothing, and a kick would change the connection id
        // under the copies of its handshake that come along the other path.
        if left {
            self.steering.signals.handle_move();
            self.steering.signals.make_room();
            self.sessions.kick();
        }
    }

    fn report(&mut self, now: Instant, switch: Switched) {
        let exit = self.steering.exit;
        let cause = switch.cause.as_str();
        let text = |path: &Option<Path>| path.as_ref().map_or("none".to_owned(), Path::to_string);
        let (from, to) = (text(&switch.from), text(&switch.to));
        let Some(to_path) = switch.to else {
            self.rescue.handle_alarm(now, None);
            return warn!(%exit, cause, %from, "session has no path");
        };
        if switch.cause.blames_path()
            && let Some(left) = &switch.from
        {
            let blamed = match switch.cause == SwitchCause::PathError {
                true => self.reported.clone(),
                false => {
                    let own = self.view.borrow().path_table().own();
                    Avoid::blaming(own, left, &to_path)
                }
            };
            // Full: others have failed just now, and this one will again.
            let _ = self.sessions.failed_paths.try_send(blamed);
        }
        // The first path of a new session is no failover.
        if switch.from.is_none() && !std::mem::replace(&mut self.had_path, true) {
            return;
        }
        info!(%exit, cause, %from, %to, "session moved to another path");
        let moved = Move {
            cause: switch.cause,
            from: switch.from.map_or_else(Vec::new, |path| path.hops),
            to: to_path.hops,
            in_flight: self.steering.signals.in_flight(),
            rtt: self.rtt(),
        };
        self.rescue.handle_move(now, moved);
    }

    /// Sends along the active path, and along the backup too while that one is doubted.
    pub(super) fn route(&self) {
        if let Some(active) = self.choice.active() {
            let way = |path| (path, self.width(path));
            let mirror = self.choice.mirror().map(way);
            self.sessions.route(self.steering.exit, way(active), mirror);
        }
    }

    /// The UDP payload that passes `path` as far as is known, bytes; 0: any.
    fn width(&self, path: &Path) -> u16 {
        match self.is_narrow(path) {
            true => SMALLEST,
            false => path.mtu,
        }
    }

    fn is_narrow(&self, path: &Path) -> bool {
        self.narrow.as_ref() == Some(&path.hops)
    }

    /// Sends packets in halves along the active path if it passes no whole ones, whatever its links
    /// say: a tunnel came into its way.
    pub(super) fn look_at_width(&mut self, now: Instant) {
        let Some(active) = self.choice.active() else {
            return;
        };
        if self.is_narrow(active) || !self.probing.is_too_narrow(now, self.rtt()) {
            return;
        }
        info!(exit = %self.steering.exit, path = %active, "path too narrow: packets go in halves");
        self.narrow = Some(active.hops.clone());
        self.probing.forget();
        self.probing.hasten(now);
        self.steering.flow.forgive();
        self.steering.signals.make_room();
        self.sessions.kick();
    }

    /// Repeats the kick while the path is doubted.
    pub(super) fn kick(&mut self, now: Instant) {
        let Some(pace) = self.doubt.pace(now) else {
            self.next_kick = now;
            return;
        };
        if now >= self.next_kick && self.choice.mirror().is_some() {
            self.next_kick = now + pace;
            self.steering.signals.make_room();
            self.sessions.kick();
        }
    }

    /// Sends due probes.
    pub(super) fn probe(&mut self, now: Instant) {
        let active = self.choice.active().map(short_hops);
        let backup = self.choice.backup().map(short_hops);
        let width = |path: Option<&Path>| path.map_or(0, |path| self.width(path));
        let widths = [width(self.choice.active()), width(self.choice.backup())];
        let narrow = self
            .choice
            .active()
            .is_some_and(|path| self.is_narrow(path));
        let activity = self.steering.flow.last_activity();
        let pace = self.doubt.pace(now);
        self.probing.handle_tick(
            now,
            Ways {
                active: active.as_deref(),
                backup: backup.as_deref(),
                widths,
                narrow,
            },
            activity,
            pace,
        );
        let backup_rtt = self.choice.backup().map_or(Duration::ZERO, Path::rtt);
        if pace.is_none() && self.probing.is_backup_silent(now, backup_rtt) {
            self.blame_backup();
        }
    }

    /// The backup is silent while the active path answers: another one is wanted before it is
    /// needed.
    fn blame_backup(&mut self) {
        let (Some(active), Some(backup)) = (self.choice.active(), self.choice.backup()) else {
            return;
        };
        debug!(exit = %self.steering.exit, %backup, "backup unanswered");
        let own = self.view.borrow().path_table().own();
        let blamed = Avoid::blaming(own, backup, active);
        let _ = self.sessions.failed_paths.try_send(blamed);
        self.probing.forget();
    }

    pub(super) fn publish(&self) {
        let (Some(path), alternate) = (self.choice.active(), self.choice.backup()) else {
            return;
        };
        let suspect = self.doubt.since().is_some();
        let mirroring = self.choice.mirror().is_some();
        let probes_lost = self.probing.missed();
        self.steering.info.send_if_modified(|info| {
            let changed = info.path != *path
                || info.alternate.as_ref() != alternate
                || (info.suspect, info.mirroring, info.probes_lost)
                    != (suspect, mirroring, probes_lost);
            if changed {
                info.path = path.clone();
                info.alternate = alternate.cloned();
                (info.suspect, info.mirroring) = (suspect, mirroring);
                info.probes_lost = probes_lost;
            }
            changed
        });
    }
}

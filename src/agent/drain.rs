//! How a drain goes on, by what is seen of it. Pure.
//!
//! ```text
//!           drain.notice               nothing is left, and the mesh has heard
//!  Noticed ─────────────► Emptying ──────────────────────────────────────────► Drained
//!             (close)         │   drain.timeout (cut)                             ▲
//!                             └───────────────────────────────────────────────────┘
//! ```

use std::time::{Duration, Instant};

use crate::config;

/// Rest between two looks: short against what anybody notices, long against what a look costs.
const LOOK: Duration = Duration::from_millis(50);

/// What the mesh gets to hear of it and to take other ways. A flood and the move of a session take
/// some 10 ms in a mesh on one host; a busy host or a far one takes longer.
const HEARD: Duration = Duration::from_millis(500);

/// The same in round trips of the slowest link.
const HEARD_ROUND_TRIPS: u32 = 4;

/// The last bytes of a connection are followed by its end, which may be lost and sent again.
const LAST_END: Duration = Duration::from_millis(100);

/// What is forwarded is counted over this long.
const WINDOW: Duration = Duration::from_secs(1);

/// Packets in that time that sessions without traffic make: each keeps itself alive and probes its
/// second path, with answers.
const IDLE_PACKETS: u64 = 20;

/// Where a drain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Checks fail, so that balancers go elsewhere. Clients that come are still served.
    Noticed,
    /// Nothing new is taken; what is open may end.
    Emptying,
    /// Nothing is left.
    Drained,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Take nothing new, and tell the mesh.
    Close,
    /// Reset what is left.
    Cut,
}

/// What is left to carry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    /// Connections of clients and for ingresses, in whatever state.
    pub(super) connections: usize,
    /// Bytes that the other ends of our sessions have not delivered yet.
    pub(super) undelivered: u64,
    /// Packets forwarded for others so far.
    pub(super) forwarded: u64,
    /// Some of our neighbours reach each other through us only.
    pub(super) is_sole_way: bool,
    /// Of the slowest link; `None`: there is none, and nobody to tell.
    pub(super) round_trip: Option<Duration>,
}

/// A drain under way.
#[derive(Clone, Debug)]
pub(super) struct Drain {
    settings: config::Drain,
    stage: Stage,
    /// When the stage began.
    since: Instant,
    /// Since when nothing is left.
    empty_since: Option<Instant>,
    /// Packets forwarded until then.
    counted: Option<(Instant, u64)>,
    /// Too many to be those of idle sessions.
    relays: bool,
}

impl Drain {
    pub(super) fn new(now: Instant, settings: config::Drain) -> Self {
        Self {
            settings,
            stage: Stage::Noticed,
            since: now,
            empty_since: None,
            counted: None,
            relays: true,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// How long connections may live on.
    pub(super) fn left(&self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.since);
        match self.stage {
            Stage::Noticed => self.settings.timeout,
            Stage::Emptying => self.settings.timeout.saturating_sub(passed),
            Stage::Drained => Duration::ZERO,
        }
    }

    /// Looks at `load`; what is to be done, if anything is.
    pub(super) fn handle(&mut self, now: Instant, load: Load) -> Option<Step> {
        let passed = now.saturating_duration_since(self.since);
        match self.stage {
            Stage::Noticed if passed >= self.settings.notice => {
                self.enter(now, Stage::Emptying);
                Some(Step::Close)
            }
            Stage::Emptying if passed >= self.settings.timeout => {
                self.enter(now, Stage::Drained);
                Some(Step::Cut)
            }
            Stage::Emptying => {
                if self.is_done(now, passed, load) {
                    self.enter(now, Stage::Drained);
                }
                None
            }
            Stage::Noticed | Stage::Drained => None,
        }
    }

    /// When to look next; `None`: there is nothing to wait for.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        match self.stage {
            Stage::Noticed => Some(self.since + self.settings.notice),
            Stage::Emptying => Some(now + LOOK.min(self.left(now))),
            Stage::Drained => None,
        }
    }

    fn enter(&mut self, now: Instant, stage: Stage) {
        self.stage = stage;
        self.since = now;
    }

    fn is_done(&mut self, now: Instant, passed: Duration, load: Load) -> bool {
        self.count(now, load);
        let is_used = load.is_sole_way && self.relays;
        let is_empty = load.connections == 0 && load.undelivered == 0 && !is_used;
        if !is_empty {
            self.empty_since = None;
            return false;
        }
        let empty_since = *self.empty_since.get_or_insert(now);
        let Some(round_trip) = load.round_trip else {
            return true;
        };
        let heard = HEARD.max(round_trip * HEARD_ROUND_TRIPS);
        passed >= heard && now.saturating_duration_since(empty_since) >= LAST_END
    }

    fn count(&mut self, now: Instant, load: Load) {
        let (at, count) = *self.counted.get_or_insert((now, load.forwarded));
        if now.saturating_duration_since(at) >= WINDOW {
            self.relays = load.forwarded.saturating_sub(count) > IDLE_PACKETS;
            self.counted = Some((now, load.forwarded));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKED: Load = Load {
        connections: 0,
        undelivered: 0,
        forwarded: 0,
        is_sole_way: false,
        round_trip: Some(Duration::from_millis(1)),
    };

    fn settings(notice: u64, timeout: u64) -> config::Drain {
        config::Drain {
            notice: Duration::from_millis(notice),
            timeout: Duration::from_millis(timeout),
        }
    }

    /// Goes on until the drain is over under `load`; when it closed, when it cut, and when it was over,
    /// in milliseconds.
    fn run(settings: config::Drain, load: impl Fn(u64) -> Load) -> (u64, Option<u64>, u64) {
        let start = Instant::now();
        let mut drain = Drain::new(start, settings);
        let (mut now, mut closed, mut cut) = (start, None, None);
        loop {
            let ms = (now - start).as_millis() as u64;
            while let Some(step) = drain.handle(now, load(ms)) {
                match step {
                    Step::Close => closed = Some(ms),
                    Step::Cut => cut = Some(ms),
                }
            }
            match drain.poll_timeout(now) {
                Some(next) => now = next,
                None => return (closed.unwrap(), cut, ms),
            }
        }
    }

    #[test]
    fn an_idle_agent_is_drained_once_the_mesh_has_heard() {
        assert_eq!(run(settings(0, 30_000), |_| LINKED), (0, None, 500));
        assert_eq!(
            run(settings(2_000, 30_000), |_| LINKED),
            (2_000, None, 2_500)
        );
        let far = Load {
            round_trip: Some(Duration::from_millis(600)),
            ..LINKED
        };
        assert_eq!(run(settings(0, 30_000), |_| far), (0, None, 2_400));
        let alone = Load {
            round_trip: None,
            ..LINKED
        };
        assert_eq!(run(settings(0, 30_000), |_| alone), (0, None, 0));
    }

    #[test]
    fn what_is_open_may_end_and_is_cut_at_the_timeout() {
        let open = |until: u64| {
            move |ms| Load {
                connections: usize::from(ms < until),
                ..LINKED
            }
        };
        assert_eq!(run(settings(0, 30_000), open(9_000)), (0, None, 9_100));
        assert_eq!(
            run(settings(0, 30_000), open(60_000)),
            (0, Some(30_000), 30_000)
        );
        assert_eq!(run(settings(500, 0), open(60_000)), (500, Some(500), 500));
        let undelivered = |ms| Load {
            undelivered: u64::from(ms < 9_000),
            ..LINKED
        };
        assert_eq!(run(settings(0, 30_000), undelivered), (0, None, 9_100));
    }

    #[test]
    fn only_a_sole_way_waits_for_what_passes_through() {
        let busy = |is_sole_way, until: u64| {
            move |ms: u64| Load {
                forwarded: ms.min(until),
                is_sole_way,
                ..LINKED
            }
        };
        assert_eq!(
            run(settings(0, 30_000), busy(false, 60_000)),
            (0, None, 500)
        );
        let (_, cut, over) = run(settings(0, 30_000), busy(true, 5_000));
        assert_eq!(cut, None);
        assert!((5_000..7_200).contains(&over), "{over}");
        let (_, cut, _) = run(settings(0, 30_000), busy(true, 60_000));
        assert_eq!(cut, Some(30_000));
    }
}

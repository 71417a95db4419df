//! Whether this process stood still: it was stopped, starved of its processor, or suspended with its
//! host. Links that died meanwhile died of that: they are dialled again at once, and are no flaps.
//!
//! ```text
//! looks, every half heartbeat:  | | | |                     | | |
//!                                      ◄── stood still ──►  └ woke: links that end soon after died of it
//! ```

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::info;

use crate::clock;

/// From here on whoever waits to dial does so at once: shorter standstills change nothing about a peer
/// that was away before.
const LONG: Duration = Duration::from_secs(1);

/// Links that died of a standstill end within this time of waking, at least: by the neighbour's word,
/// which waits in the socket, or by silence.
const AFTERMATH: Duration = Duration::from_secs(1);

/// Notices standstills. One task runs [`watch`](Self::watch); it may be aborted.
#[derive(Debug)]
pub struct Standstill {
    looks: Mutex<Looks>,
    interval: Duration,
    woke: watch::Sender<()>,
}

/// When it was looked last, and what that told.
#[derive(Debug)]
struct Looks {
    /// Longer gaps are standstills. Half of what kills a link, because a neighbour hears nothing from
    /// us for longer than we stand still.
    longest_gap: Duration,
    aftermath: Duration,
    last: Instant,
    /// How long the host was suspended in all since its start; the monotonic clock stops meanwhile.
    suspended: Duration,
    woke: Option<Instant>,
}

impl Looks {
    /// How long the process stood still, if it did.
    fn handle_look(&mut self, now: Instant, suspended: Duration) -> Option<Duration> {
        let gap =
            now.saturating_duration_since(self.last) + suspended.saturating_sub(self.suspended);
        self.last = self.last.max(now);
        self.suspended = suspended;
        let stood = gap > self.longest_gap;
        if stood {
            self.woke = Some(now);
        }
        stood.then_some(gap)
    }

    fn has_just_woken(&self, now: Instant) -> bool {
        let woke = self.woke;
        woke.is_some_and(|woke| now.saturating_duration_since(woke) < self.aftermath)
    }
}

impl Standstill {
    /// For links that are down after `dead_after` heartbeats of silence.
    pub fn new(heartbeat: Duration, dead_after: u32) -> Arc<Self> {
        let (interval, deadline) = (heartbeat / 2, heartbeat * dead_after);
        Arc::new(Self {
            looks: Mutex::new(Looks {
                longest_gap: interval + deadline / 2,
                aftermath: AFTERMATH.max(2 * deadline),
                last: clock::now(),
                suspended: suspended(),
                woke: None,
            }),
            interval,
            woke: watch::Sender::new(()),
        })
    }

    /// Looks for ever.
    pub async fn watch(self: Arc<Self>) {
        loop {
            sleep(self.interval).await;
            self.just_woke();
        }
    }

    /// Whether the process stood still until a moment ago. Right also if nothing else has run since.
    pub fn just_woke(&self) -> bool {
        let now = clock::now();
        let mut looks = self.looks.lock().expect("no panic while locked");
        if let Some(stood) = looks.handle_look(now, suspended())
            && stood >= LONG
        {
            info!(?stood, "this agent stood still");
            self.woke.send_replace(());
        }
        looks.has_just_woken(now)
    }

    /// Completes when the next long standstill ends.
    pub(super) async fn woken(&self) {
        let mut woke = self.woke.subscribe();
        // It lives as long as `self`.
        let _ = woke.changed().await;
    }
}

/// How long this host was suspended since its start.
#[cfg(target_os = "linux")]
fn suspended() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    // In this order, so that what passes in between is no suspension.
    let boot = read(ClockId::Boottime);
    boot.saturating_sub(read(ClockId::Monotonic))
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
fn suspended() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn looks(now: Instant) -> Looks {
        Looks {
            longest_gap: 200 * MS,
            aftermath: 1_000 * MS,
            last: now,
            suspended: Duration::ZERO,
            woke: None,
        }
    }

    #[test]
    fn a_gap_between_looks_is_a_standstill_and_its_aftermath_ends() {
        let start = Instant::now();
        let mut looks = looks(start);
        assert_eq!(looks.handle_look(start + 200 * MS, Duration::ZERO), None);
        assert!(!looks.has_just_woken(start + 200 * MS));
        let woke = start + 2_200 * MS;
        let stood = looks.handle_look(woke, Duration::ZERO);
        assert_eq!(stood, Some(2_000 * MS));
        assert_eq!(looks.handle_look(woke + 50 * MS, Duration::ZERO), None);
        assert!(looks.has_just_woken(woke + 999 * MS));
        assert!(!looks.has_just_woken(woke + 1_000 * MS));
    }

    #[test]
    fn a_suspended_host_stood_still_though_its_clock_did_too() {
        let start = Instant::now();
        let mut looks = looks(start);
        let hour = 3_600_000 * MS;
        let stood = looks.handle_look(start + 50 * MS, hour);
        assert_eq!(stood, Some(hour + 50 * MS));
        assert_eq!(looks.handle_look(start + 100 * MS, hour), None, "once");
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_long_standstill_wakes_those_that_wait() {
        let standstill = Standstill::new(100 * MS, 3);
        let watching = tokio::spawn(standstill.clone().watch());
        for (stood, wakes) in [(150, false), (500, false), (1_500, true)] {
            sleep(2_000 * MS).await;
            assert!(!standstill.just_woke());
            let woken = tokio::spawn({
                let standstill = standstill.clone();
                async move { standstill.woken().await }
            });
            tokio::task::yield_now().await;
            tokio::time::advance(stood * MS).await;
            assert_eq!(standstill.just_woke(), stood > 200, "{stood}");
            tokio::task::yield_now().await;
            assert_eq!(woken.is_finished(), wakes, "{stood}");
            woken.abort();
        }
        watching.abort();
    }
}

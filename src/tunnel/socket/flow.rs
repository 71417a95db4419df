//! What goes and comes between this agent and the other end of its sessions, by the clock: whether
//! packets that must be answered are not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::tunnel::path::timing::Timing;

/// A packet sent this long after the last arrival is no mere acknowledgement of it: those leave
/// within 25 ms (`max_ack_delay`, RFC 9000 section 18.2). So it will be answered if it arrives.
const NO_ACKNOWLEDGEMENT: Duration = Duration::from_millis(30);

/// Neither is a packet of this many bytes, whenever it left: quinn acknowledges at most 64 ranges at
/// once, some 560 bytes if each of them takes two numbers of 4 bytes. Full packets have 1,200 or more.
const FULL: usize = 1_000;

/// The judge is woken by packets that wait for an answer only after so much silence: a busy flow
/// must not wake it with every packet. A sender whose window is full wakes it with its time-outs: on a
/// short path quinn sends two packets some 3, 9 and 21 ms after its last ones.
const WAKE: Duration = Duration::from_millis(10);

/// The packets of one pair of agents on one side. Shared by the socket, which notes, and the
/// session's task, which judges.
#[derive(Debug)]
pub(crate) struct Flow {
    timing: Timing,
    start: Instant,
    /// All in microseconds after `start`; 0: never.
    arrived: AtomicU64,
    /// The last arrival along the path that ours take.
    proved: AtomicU64,
    sent: AtomicU64,
    /// The first packet sent since `proved` that must be answered.
    unanswered: AtomicU64,
    /// The judge was woken for it.
    told: AtomicBool,
    /// The longest time between two arrivals since it was last asked for.
    gap: AtomicU64,
    wake: Notify,
}

impl Flow {
    pub(crate) fn new(now: Instant, timing: Timing) -> Self {
        Self {
            timing,
            start: now,
            arrived: AtomicU64::new(0),
            proved: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            told: AtomicBool::new(false),
            gap: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }

    /// Packets left, the first of them with so many bytes.
    pub(crate) fn handle_sent(&self, now: Instant, bytes: usize) {
        let now = self.micros(now);
        self.sent.store(now, Ordering::Relaxed);
        let silent = now.saturating_sub(self.arrived.load(Ordering::Relaxed));
        let counts = bytes >= FULL || silent >= NO_ACKNOWLEDGEMENT.as_micros() as u64;
        if self.unanswered.load(Ordering::Relaxed) == 0 {
            if !counts {
                return;
            }
            self.unanswered.store(now, Ordering::Relaxed);
        }
        let unproved = now.saturating_sub(self.proved.load(Ordering::Relaxed));
        if unproved >= WAKE.as_micros() as u64 && !self.told.swap(true, Ordering::Relaxed) {
            self.wake.notify_one();
        }
    }

    /// Packets arrived; `answers`: along the path that ours take, so that they prove it.
    pub(crate) fn handle_arrived(&self, now: Instant, answers: bool) {
        let now = self.micros(now);
        let last = self.arrived.swap(now, Ordering::Relaxed);
        self.gap
            .fetch_max(now.saturating_sub(last), Ordering::Relaxed);
        if answers {
            self.proved.store(now, Ordering::Relaxed);
            self.forgive();
        }
    }

    /// Whether packets arrived along the path that ours take, at that time or later.
    pub(crate) fn was_proved(&self, since: Instant) -> bool {
        self.proved.load(Ordering::Relaxed) >= self.micros(since)
    }

    /// Nothing waits for an answer any more: the path was judged by other means, or was left.
    pub(crate) fn forgive(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
        self.told.store(false, Ordering::Relaxed);
    }

    /// When the packets that wait for an answer will have waited too long on a path of that round
    /// trip; `None`: none waits.
    pub(crate) fn overdue_at(&self, rtt: Duration) -> Option<Instant> {
        let sent = match self.unanswered.load(Ordering::Relaxed) {
            0 => return None,
            sent => self.instant(sent),
        };
        let proved = self.instant(self.proved.load(Ordering::Relaxed));
        Some(sent.max(proved + self.timing.quiet) + self.timing.packet_wait(rtt))
    }

    /// Waits until a packet leaves that must be answered.
    pub(crate) async fn unanswered(&self) {
        self.wake.notified().await;
    }

    /// When packets last arrived.
    pub(crate) fn last_arrival(&self) -> Option<Instant> {
        match self.arrived.load(Ordering::Relaxed) {
            0 => None,
            at => Some(self.instant(at)),
        }
    }

    /// When packets last came or went.
    pub(crate) fn last_activity(&self) -> Option<Instant> {
        let arrived = self.arrived.load(Ordering::Relaxed);
        match arrived.max(self.sent.load(Ordering::Relaxed)) {
            0 => None,
            at => Some(self.instant(at)),
        }
    }

    /// The longest time between two arrivals since the last call.
    pub(crate) fn take_gap(&self) -> Duration {
        Duration::from_micros(self.gap.swap(0, Ordering::Relaxed))
    }

    /// Microseconds after the start, never 0.
    fn micros(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start);
        (elapsed.as_micros() as u64).max(1)
    }

    fn instant(&self, micros: u64) -> Instant {
        self.start + Duration::from_micros(micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const RTT: Duration = Duration::from_millis(1);
    const SMALL: usize = 40;

    /// Heard 100 ms after it began, with the times of that heartbeat.
    fn flow(heartbeat: u32) -> (Flow, Instant) {
        let start = Instant::now();
        let flow = Flow::new(start, Timing::new(heartbeat * MS));
        flow.handle_arrived(start + 100 * MS, true);
        (flow, start + 100 * MS)
    }

    #[test]
    fn an_acknowledgement_waits_for_no_answer() {
        for heartbeat in [10, 50, 100] {
            let (flow, heard) = flow(heartbeat);
            flow.handle_sent(heard + 25 * MS, SMALL);
            assert_eq!(flow.overdue_at(RTT), None);
        }
    }

    #[test]
    fn a_later_packet_does_and_the_first_of_them_counts() {
        let (flow, heard) = flow(100);
        flow.handle_sent(heard + 30 * MS, SMALL);
        flow.handle_sent(heard + 60 * MS, SMALL);
        assert_eq!(flow.overdue_at(RTT), Some(heard + 100 * MS));
        let far = Duration::from_millis(300);
        assert_eq!(flow.overdue_at(far), Some(heard + 30 * MS + 650 * MS));
    }

    #[test]
    fn a_full_packet_does_at_once_though_the_path_was_heard_just_now() {
        let (flow, heard) = flow(100);
        flow.handle_sent(heard + MS, 1_400);
        assert_eq!(flow.overdue_at(RTT), Some(heard + (30 + 70) * MS));
        let (flow, heard) = self::flow(50);
        flow.handle_sent(heard + MS, 1_400);
        assert_eq!(flow.overdue_at(RTT), Some(heard + (15 + 42) * MS));
        // One that leaves later is waited for from then on.
        let (flow, heard) = self::flow(50);
        flow.handle_sent(heard + 40 * MS, 1_400);
        assert_eq!(flow.overdue_at(RTT), Some(heard + (40 + 42) * MS));
    }

    #[test]
    fn a_delayed_acknowledgement_is_in_time_at_any_heartbeat() {
        for heartbeat in [1, 10, 50] {
            let (flow, heard) = flow(heartbeat);
            flow.handle_sent(heard + MS, 1_400);
            let answered = heard + MS + RTT + 25 * MS;
            assert!(flow.overdue_at(RTT).unwrap() > answered + 15 * MS - MS);
        }
    }

    #[test]
    fn an_arrival_answers() {
        let (flow, heard) = flow(100);
        flow.handle_sent(heard + 40 * MS, SMALL);
        flow.handle_arrived(heard + 40 * MS, false);
        let overdue = flow.overdue_at(RTT);
        assert!(overdue.is_some(), "another path proves nothing");
        flow.handle_arrived(heard + 60 * MS, false);
        assert_eq!(flow.overdue_at(RTT), overdue, "nor does it excuse");
        flow.handle_arrived(heard + 61 * MS, true);
        assert_eq!(flow.overdue_at(RTT), None);
        assert_eq!(flow.last_arrival(), Some(heard + 61 * MS));
    }

    #[test]
    fn the_longest_gap_is_told_once() {
        let (flow, heard) = flow(100);
        flow.take_gap();
        flow.handle_arrived(heard + 5 * MS, true);
        flow.handle_arrived(heard + 25 * MS, true);
        flow.handle_arrived(heard + 26 * MS, true);
        assert_eq!(flow.take_gap(), 20 * MS);
        assert_eq!(flow.take_gap(), Duration::ZERO);
    }

    #[tokio::test]
    async fn the_judge_is_woken_after_some_silence() {
        use futures_util::FutureExt as _;

        let (flow, heard) = flow(100);
        flow.handle_sent(heard + 9 * MS, 1_400);
        assert_eq!(flow.unanswered().now_or_never(), None);
        // Whatever leaves then, because it leaves: the window may hold no more full ones.
        flow.handle_sent(heard + 10 * MS, SMALL);
        assert_eq!(flow.unanswered().now_or_never(), Some(()));
        flow.handle_sent(heard + 11 * MS, 1_400);
        assert_eq!(flow.unanswered().now_or_never(), None, "once is enough");
        flow.handle_arrived(heard + 12 * MS, true);
        flow.handle_sent(heard + 50 * MS, SMALL);
        assert_eq!(flow.unanswered().now_or_never(), Some(()));
    }
}

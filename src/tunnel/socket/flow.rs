//! What goes and comes between this agent and the other end of its sessions, by the clock: whether
//! packets that must be answered are not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::tunnel::path::Traffic;

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
    pub(crate) fn new(now: Instant) -> Self {
        Self {
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

    /// Nothing waits for an answer any more: the path was judged by other means, or was left.
    pub(crate) fn forgive(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
        self.told.store(false, Ordering::Relaxed);
    }

    /// What the packets tell now, of a connection that measured that round trip and has so many bytes
    /// in flight.
    pub(crate) fn traffic(&self, rtt: Duration, in_flight: u64) -> Traffic {
        let at = |micros: &AtomicU64| match micros.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(self.start + Duration::from_micros(micros)),
        };
        Traffic {
            rtt,
            in_flight,
            sent: at(&self.sent),
            arrived: at(&self.arrived),
            proved: at(&self.proved).unwrap_or(self.start),
            unanswered: at(&self.unanswered),
        }
    }

    /// Waits until a packet leaves that must be answered.
    pub(crate) async fn unanswered(&self) {
        self.wake.notified().await;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SMALL: usize = 40;

    /// Heard 100 ms after it began.
    fn flow() -> (Flow, Instant) {
        let start = Instant::now();
        let flow = Flow::new(start);
        flow.handle_arrived(start + 100 * MS, true);
        (flow, start + 100 * MS)
    }

    /// When the first packet left that waits for an answer.
    fn waits(flow: &Flow) -> Option<Instant> {
        flow.traffic(Duration::ZERO, 0).unanswered
    }

    #[test]
    fn an_acknowledgement_waits_for_no_answer() {
        let (flow, heard) = flow();
        flow.handle_sent(heard + 25 * MS, SMALL);
        assert_eq!(waits(&flow), None);
    }

    #[test]
    fn a_later_packet_does_and_the_first_of_them_counts() {
        let (flow, heard) = flow();
        flow.handle_sent(heard + 30 * MS, SMALL);
        flow.handle_sent(heard + 60 * MS, SMALL);
        assert_eq!(waits(&flow), Some(heard + 30 * MS));
    }

    #[test]
    fn a_full_packet_does_at_once_though_the_path_was_heard_just_now() {
        let (flow, heard) = flow();
        flow.handle_sent(heard + MS, 1_400);
        assert_eq!(waits(&flow), Some(heard + MS));
        assert_eq!(flow.traffic(Duration::ZERO, 0).proved, heard);
    }

    #[test]
    fn an_arrival_answers() {
        let (flow, heard) = flow();
        flow.handle_sent(heard + 40 * MS, SMALL);
        flow.handle_arrived(heard + 40 * MS, false);
        assert!(waits(&flow).is_some(), "another path proves nothing");
        flow.handle_arrived(heard + 60 * MS, false);
        let traffic = flow.traffic(Duration::ZERO, 0);
        assert_eq!(traffic.proved, heard, "nor does it excuse");
        flow.handle_arrived(heard + 61 * MS, true);
        assert_eq!(waits(&flow), None);
        let traffic = flow.traffic(Duration::ZERO, 0);
        assert_eq!(traffic.arrived, Some(heard + 61 * MS));
    }

    #[test]
    fn the_longest_gap_is_told_once() {
        let (flow, heard) = flow();
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

        let (flow, heard) = flow();
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

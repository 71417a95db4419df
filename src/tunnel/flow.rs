//! What goes and comes between this agent and the other end of its sessions, by the clock: whether
//! packets that must be answered are not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A packet sent this long after the last arrival is no mere acknowledgement of it: those leave
/// within 25 ms (`max_ack_delay`, RFC 9000 section 18.2). So it will be answered if it arrives.
const QUIET: Duration = Duration::from_millis(30);

/// An answer takes a round trip, the delay of an acknowledgement and the other end's lateness; one
/// that takes longer than this on a short path is missed. Together with [`QUIET`] below the 150 ms
/// after which a link is suspected, so that a path that fails beyond the first link is left as fast.
const ANSWER: Duration = Duration::from_millis(70);

/// The same on long paths: two round trips and this.
const ANSWER_SLACK: Duration = Duration::from_millis(50);

/// The packets of one pair of agents on one side. Shared by the socket, which notes, and the
/// session's task, which judges.
#[derive(Debug)]
pub(super) struct Flow {
    start: Instant,
    /// All in microseconds after `start`; 0: never.
    arrived: AtomicU64,
    sent: AtomicU64,
    /// The first packet sent since the last arrival that must be answered.
    unanswered: AtomicU64,
    /// The longest time between two arrivals since it was last asked for.
    gap: AtomicU64,
    wake: Notify,
}

impl Flow {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: now,
            arrived: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            gap: AtomicU64::new(0),
            wake: Notify::new(),
        }
    }

    /// Packets left.
    pub(super) fn handle_sent(&self, now: Instant) {
        let now = self.micros(now);
        self.sent.store(now, Ordering::Relaxed);
        let quiet = now.saturating_sub(self.arrived.load(Ordering::Relaxed));
        if quiet >= QUIET.as_micros() as u64
            && self
                .unanswered
                .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.wake.notify_one();
        }
    }

    /// Packets arrived; `answers`: along the path that ours take, so that they prove it.
    pub(super) fn handle_arrived(&self, now: Instant, answers: bool) {
        let now = self.micros(now);
        let last = self.arrived.swap(now, Ordering::Relaxed);
        self.gap
            .fetch_max(now.saturating_sub(last), Ordering::Relaxed);
        if answers {
            self.unanswered.store(0, Ordering::Relaxed);
        }
    }

    /// Nothing waits for an answer any more: the path was judged by other means, or was left.
    pub(super) fn forgive(&self) {
        self.unanswered.store(0, Ordering::Relaxed);
    }

    /// When the packets that wait for an answer will have waited too long on a path of that round
    /// trip; `None`: none waits.
    pub(super) fn overdue_at(&self, rtt: Duration) -> Option<Instant> {
        match self.unanswered.load(Ordering::Relaxed) {
            0 => None,
            since => Some(self.instant(since) + ANSWER.max(rtt * 2 + ANSWER_SLACK)),
        }
    }

    /// Waits until a packet leaves that must be answered.
    pub(super) async fn unanswered(&self) {
        self.wake.notified().await;
    }

    /// When packets last arrived.
    pub(super) fn last_arrival(&self) -> Option<Instant> {
        match self.arrived.load(Ordering::Relaxed) {
            0 => None,
            at => Some(self.instant(at)),
        }
    }

    /// When packets last came or went.
    pub(super) fn last_activity(&self) -> Option<Instant> {
        let arrived = self.arrived.load(Ordering::Relaxed);
        match arrived.max(self.sent.load(Ordering::Relaxed)) {
            0 => None,
            at => Some(self.instant(at)),
        }
    }

    /// The longest time between two arrivals since the last call.
    pub(super) fn take_gap(&self) -> Duration {
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

    fn flow() -> (Flow, Instant) {
        let start = Instant::now();
        let flow = Flow::new(start);
        flow.handle_arrived(start + 100 * MS, true);
        (flow, start + 100 * MS)
    }

    #[test]
    fn an_acknowledgement_waits_for_no_answer() {
        let (flow, heard) = flow();
        flow.handle_sent(heard + 25 * MS);
        assert_eq!(flow.overdue_at(RTT), None);
    }

    #[test]
    fn a_later_packet_does_and_the_first_of_them_counts() {
        let (flow, heard) = flow();
        flow.handle_sent(heard + 30 * MS);
        flow.handle_sent(heard + 60 * MS);
        assert_eq!(flow.overdue_at(RTT), Some(heard + 30 * MS + ANSWER));
        let far = Duration::from_millis(300);
        assert_eq!(flow.overdue_at(far), Some(heard + 30 * MS + 650 * MS));
    }

    #[test]
    fn an_arrival_answers() {
        let (flow, heard) = flow();
        flow.handle_sent(heard + 40 * MS);
        flow.handle_arrived(heard + 40 * MS, false);
        assert!(
            flow.overdue_at(RTT).is_some(),
            "another path proves nothing"
        );
        flow.handle_arrived(heard + 41 * MS, true);
        assert_eq!(flow.overdue_at(RTT), None);
        assert_eq!(flow.last_arrival(), Some(heard + 41 * MS));
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
    async fn the_judge_is_woken() {
        let (flow, heard) = flow();
        flow.handle_sent(heard + 40 * MS);
        flow.unanswered().await;
    }
}

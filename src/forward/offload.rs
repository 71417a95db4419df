//! What a port has learned of sends that the kernel refuses.
//!
//! quinn-udp takes one EINVAL or EIO to mean that the host cannot segment, and sends packet by
//! packet for ever after. The errors have nearer causes: a source address that has gone, a way out
//! whose device or IPsec policy cannot segment, a segment larger than that way takes. Each is
//! remembered for what it is, for a while, so that one of them costs neither the others nor every
//! send.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a refusal is remembered. To try again costs one failed system call and a dozen socket
/// options.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Refusals remembered; the oldest makes room. Segmented sends go to neighbours only.
const MOST: usize = 64;

/// What the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// To send from this address.
    Source(IpAddr),
    /// To segment what goes there.
    Segments(SocketAddr),
}

/// The refusals of one port. Costs a send one relaxed load while there are none.
#[derive(Default)]
pub(super) struct Refusals {
    any: AtomicBool,
    /// Oldest first.
    known: Mutex<VecDeque<(Refused, Instant)>>,
}

impl Refusals {
    /// Remembers a refusal.
    pub(super) fn note(&self, refused: Refused, now: Instant) {
        let mut known = self.lock();
        known.retain(|(other, _)| *other != refused);
        if known.len() >= MOST {
            known.pop_front();
        }
        known.push_back((refused, now));
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether anything is remembered.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Whether the kernel refused this of late.
    pub(super) fn holds(&self, refused: Refused, now: Instant) -> bool {
        let mut known = self.lock();
        while known
            .front()
            .is_some_and(|(_, since)| now.saturating_duration_since(*since) >= REMEMBERED)
        {
            known.pop_front();
        }
        self.any.store(!known.is_empty(), Ordering::Relaxed);
        known.iter().any(|(other, _)| *other == refused)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Refused, Instant)>> {
        self.known.lock().expect("no panic while locked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Refused {
        Refused::Source([192, 0, 2, last].into())
    }

    #[test]
    fn a_refusal_is_remembered_for_a_while() {
        let refusals = Refusals::default();
        let start = Instant::now();
        assert!(!refusals.any());
        refusals.note(source(1), start);
        let just_before = start + REMEMBERED - Duration::from_millis(1);
        assert!(refusals.any());
        assert!(refusals.holds(source(1), just_before));
        assert!(!refusals.holds(source(2), just_before));
        assert!(!refusals.holds(source(1), start + REMEMBERED));
        assert!(!refusals.any());
    }

    #[test]
    fn a_refusal_noted_again_lasts_longer_and_takes_no_more_room() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let later = start + REMEMBERED / 2;
        refusals.note(source(1), start);
        refusals.note(source(2), start);
        refusals.note(source(1), later);
        assert!(refusals.holds(source(1), start + REMEMBERED));
        assert!(!refusals.holds(source(2), start + REMEMBERED));
    }

    #[test]
    fn the_oldest_makes_room() {
        let refusals = Refusals::default();
        let now = Instant::now();
        (0..=MOST as u8).for_each(|last| refusals.note(source(last), now));
        assert!(!refusals.holds(source(0), now));
        assert!((1..=MOST as u8).all(|last| refusals.holds(source(last), now)));
    }
}

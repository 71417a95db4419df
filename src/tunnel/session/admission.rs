//! Which session handshakes begin.
//!
//! ```text
//!  first packet ─► proved? ── no ──► pace and a place? ── yes ──► begins
//!                     │                     └─ no ──► is asked for a proof
//!                     └── yes ──► pace? ── no ──► asks again by itself
//!                                   └─ yes ──► a place? ── yes ──► begins
//!                                                  └─ no ──► is refused
//! ```
//!
//! Whoever has a link token can write any source. In an ingress' name it takes nothing of what the ingress
//! gets by proving that it is where its packets say (RFC 9000 section 8.1.2).

use std::sync::Arc;
use std::time::Instant;

use crate::config::Limits;
use crate::identity::ShortId;
use crate::limit::{Bucket, Rates, STRANGERS, Share, Shares};

/// Handshakes a second in one name. An ingress has one session, and needs another when its path or its
/// process has died: far below that. Each costs an exit a signature, two checks of one and a key exchange.
pub(super) const PER_INGRESS: u32 = 16;

/// What becomes of a first packet.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The handshake has that place until it is done.
    Begin(Share<ShortId>),
    /// It may begin with a proof of its address.
    Prove,
    /// Not now: QUIC asks again by itself.
    Later,
    /// Too many are under way.
    Refuse,
}

/// Those that have proved their address, or those that have not.
#[derive(Debug)]
struct Class {
    places: Arc<Shares<ShortId>>,
    names: Rates<ShortId>,
    all: Bucket,
}

/// What begins at one exit.
#[derive(Debug)]
pub(super) struct Admission {
    unproved: Class,
    proved: Class,
}

impl Class {
    fn new(places: usize, per_second: u32) -> Self {
        Self {
            places: Shares::new(places, STRANGERS),
            names: Rates::per_second(PER_INGRESS),
            all: Bucket::per_second(per_second),
        }
    }

    fn has_pace(&mut self, source: ShortId, now: Instant) -> bool {
        self.names.take(source, now) && self.all.take(now)
    }
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        let (places, rate) = (limits.pending_handshakes, limits.handshakes_per_second);
        Self {
            unproved: Class::new(places / 2, rate),
            proved: Class::new(places.div_ceil(2), rate),
        }
    }

    /// Judges the first packet of a handshake in the name of `source`.
    pub(super) fn judge(&mut self, source: ShortId, is_proved: bool, now: Instant) -> Verdict {
        let class = match is_proved {
            true => &mut self.proved,
            false => &mut self.unproved,
        };
        let has_pace = class.has_pace(source, now);
        let place = has_pace.then(|| class.places.take(source)).flatten();
        match (is_proved, place) {
            (_, Some(place)) => Verdict::Begin(place),
            (false, None) => Verdict::Prove,
            (true, None) if has_pace => Verdict::Refuse,
            (true, None) => Verdict::Later,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NAME: ShortId = ShortId(1);
    const OTHER: ShortId = ShortId(2);

    fn admission(places: usize, rate: u32) -> Admission {
        Admission::new(&Limits {
            pending_handshakes: places,
            handshakes_per_second: rate,
            ..Limits::default()
        })
    }

    fn begins(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Begin(_))
    }

    #[test]
    fn one_name_begins_at_a_pace_and_is_asked_for_a_proof_beyond_it() {
        let (mut admission, now) = (admission(64, 500), Instant::now());
        for is_proved in [false, true] {
            let mut judge = |source, at| admission.judge(source, is_proved, at);
            let begun = (0..100).filter(|_| begins(judge(NAME, now))).count();
            assert_eq!(begun, PER_INGRESS as usize, "{is_proved}");
            match judge(NAME, now) {
                Verdict::Prove => assert!(!is_proved),
                Verdict::Later => assert!(is_proved),
                other => panic!("{other:?}"),
            }
            assert!(begins(judge(OTHER, now)));
            let soon = now + Duration::from_secs(1) / PER_INGRESS;
            assert!(begins(judge(NAME, soon)));
            assert!(!begins(judge(NAME, soon)));
        }
    }

    #[test]
    fn names_without_end_leave_the_proved_their_pace() {
        let (mut admission, now) = (admission(1_000, 20), Instant::now());
        let judge = |number| begins(admission.judge(ShortId(number), false, now));
        assert_eq!((0..1_000).map(judge).filter(|begun| *begun).count(), 20);
        assert!(begins(admission.judge(NAME, true, now)));
    }

    #[test]
    fn places_are_shared_and_those_of_the_proved_are_their_own() {
        let (mut admission, now) = (admission(8, 500), Instant::now());
        let held = |admission: &mut Admission, source, is_proved| -> Vec<_> {
            let judge = |_| match admission.judge(source, is_proved, now) {
                Verdict::Begin(place) => Some(place),
                _ => None,
            };
            (0..10).filter_map(judge).collect()
        };
        let first = held(&mut admission, NAME, false);
        assert_eq!(first.len(), 2, "half of half");
        let proved = held(&mut admission, NAME, true);
        assert_eq!(proved.len(), 2);
        assert!(matches!(
            admission.judge(OTHER, false, now),
            Verdict::Begin(_)
        ));
        let crowd: Vec<_> = (10..20)
            .flat_map(|name| held(&mut admission, ShortId(name), true))
            .collect();
        assert_eq!(crowd.len(), 2);
        assert!(matches!(admission.judge(OTHER, true, now), Verdict::Refuse));
    }

    #[test]
    fn one_place_is_for_who_proves_its_address() {
        let (mut admission, now) = (admission(1, 500), Instant::now());
        assert!(matches!(admission.judge(NAME, false, now), Verdict::Prove));
        assert!(begins(admission.judge(NAME, true, now)));
    }
}

//! How often one origin may say something new. Signatures are limited by neighbour, but an origin's
//! news comes from every neighbour and goes to every agent: without a limit of its own, one agent
//! that signs without end takes all that the mesh may verify, and with it others' news.
//!
//! The idea is OSPF's MinLSArrival (RFC 2328, section 13), as a token bucket by origin instead of a
//! gap by object. What is over the limit is dropped before it is verified and neither stored nor
//! passed on; the next reconciliation fetches what is current then.

use std::time::Instant;

use super::authority::Authority;
use super::bucket::TokenBucket;
use super::core::Core;
use super::counters::AdvResult;
use super::origin::Stored;
use crate::config::Limits;
use crate::identity::AgentId;
use crate::wire::bounds::MAX_FRAGMENT_ROUTES;

/// Advertisements per second besides routes: ten of links that come up, and some that go down.
const LINKS_PER_SECOND: usize = 16;

/// A full bucket for one origin. An honest one issues all its fragments once a second at most; the
/// bucket holds that twice, for the process before and the one after a restart.
pub(super) fn pace(now: Instant, limits: &Limits) -> TokenBucket {
    let fragments = limits.routes_per_origin.div_ceil(MAX_FRAGMENT_ROUTES);
    let rate = (fragments + LINKS_PER_SECOND) as u64;
    TokenBucket::with_burst(now, rate, 2 * rate)
}

impl<A: Authority> Core<A> {
    /// Whether the origin may say more by now.
    pub(super) fn check_pace(&mut self, now: Instant, stored: &Stored) -> Result<(), AdvResult> {
        let known = self.db.origin_mut(stored.key.origin);
        let pace = known.and_then(|origin| origin.pace.as_mut());
        if pace.is_none_or(|pace| pace.has(now, 1)) {
            Ok(())
        } else {
            Err(AdvResult::OriginRate)
        }
    }

    /// Counts what was verified: nobody else can use up an origin's pace.
    pub(super) fn pay_pace(&mut self, now: Instant, origin: AgentId) {
        let limits = &self.settings.limits;
        if let Some(origin) = self.db.origin_mut(origin) {
            let pace = origin.pace.get_or_insert_with(|| pace(now, limits));
            // It had one when that was checked; the first of an origin is not checked.
            let _ = pace.take(now, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::routing::database::testing::*;
    use crate::routing::*;

    #[test]
    fn an_origin_that_never_stops_is_slowed_and_others_are_heard() {
        let mut bench = pair();
        let offered = 20_000;
        for sequence in 1..=offered {
            bench.hear(2, flood([link(stamp(9, 5, sequence))]));
            if sequence % 20 == 0 {
                bench.pass(ms(1));
            }
        }
        let accepted = count(&bench, AdvResult::Accepted);
        assert_eq!(count(&bench, AdvResult::OriginRate), offered - accepted);
        // A burst and a second's worth, of 10,000 routes in fragments of 512 and 16 others.
        assert!((100..=115).contains(&accepted), "{accepted} were accepted");
        bench.hear(2, flood([link(stamp(8, 5, 1))]));
        assert!(known(&bench, 8), "another's news by the same neighbour");
        assert_eq!(count(&bench, AdvResult::SignatureRate), 0);
        bench.pass(ms(100));
        bench.hear(2, flood([link(stamp(9, 5, offered + 1))]));
        assert_eq!(
            bench.sent(3).len(),
            1,
            "it is heard again when it slows down"
        );
    }

    #[test]
    fn a_set_of_the_most_routes_comes_at_once_and_again_after_a_restart() {
        let mut bench = pair();
        for epoch in [5, 6] {
            for fragment in 0..20 {
                let route = route(stamp(9, epoch, 1 + u64::from(fragment)), fragment, 20, &[]);
                bench.hear(2, flood([crate::wire::Advertisement::Route(route)]));
            }
        }
        assert_eq!(count(&bench, AdvResult::Accepted), 2 * 20);
    }

    #[test]
    fn words_put_into_its_mouth_cost_an_origin_nothing() {
        let mut bench = pair();
        bench.hear(2, flood([link(stamp(9, 5, 1))]));
        for sequence in 2..1_000 {
            let forged = crate::wire::SignedAdv::sign(link(stamp(9, 5, sequence)), |_| [1; 64]);
            let flood = crate::wire::Flood {
                certificates: Vec::new(),
                advertisements: vec![envelope(forged, 0)],
            };
            bench
                .up(2)
                .hear(2, crate::wire::ControlMessage::Flood(flood));
        }
        assert_eq!(count(&bench, AdvResult::BadSignature), 998);
        bench.hear(3, flood([link(stamp(9, 5, 2))]));
        assert_eq!(count(&bench, AdvResult::Accepted), 2);
    }
}

//! Ways back to agents that nothing authenticates yet: the reverse of the handshakes they send.
//!
//! An ingress sends its handshake along two paths at once, because it does not know which of them is
//! dead. Nor does the exit, so it keeps the two latest and answers handshakes along both. It does so for
//! each handshake: whoever forges packets in an ingress' name does not know what its own handshake is
//! called, and changes nothing of where that is answered.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cid::Cid;
use super::outlet::Outlet;
use crate::identity::ShortId;

/// How long a way is used. A handshake that takes longer is given up by both ends.
const LIFETIME: Duration = Duration::from_secs(10);

/// A handshake: who says that it is its own, and what its answers are called.
pub(crate) type Handshake = (ShortId, Cid);

/// The two latest ways of each handshake, bounded.
#[derive(Debug)]
pub(crate) struct Provisional {
    /// Handshakes at most.
    limit: usize,
    ways: HashMap<Handshake, [Option<Learned>; 2]>,
    /// The latest handshake in each name.
    latest: HashMap<ShortId, Cid>,
    /// Oldest first.
    order: VecDeque<Handshake>,
}

#[derive(Debug)]
struct Learned {
    outlet: Arc<Outlet>,
    at: Instant,
}

impl Provisional {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            ways: HashMap::new(),
            latest: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// A packet of `handshake` came; `outlet` leads back. Returns whether that way is new.
    pub(crate) fn learn(
        &mut self,
        handshake: Handshake,
        outlet: Arc<Outlet>,
        now: Instant,
    ) -> bool {
        self.latest.insert(handshake.0, handshake.1);
        let ways = self.ways.entry(handshake).or_insert_with(|| {
            self.order.push_back(handshake);
            [None, None]
        });
        let is_latest = |way: &Option<Learned>| way.as_ref().is_some_and(|it| it.outlet == outlet);
        if !is_latest(&ways[0]) {
            // The other one is either this one, heard again, or the older of two that goes.
            ways.swap(0, 1);
        }
        let is_new = !is_latest(&ways[0]);
        if !is_new {
            ways[0].iter_mut().for_each(|way| way.at = now);
        } else {
            ways[0] = Some(Learned { outlet, at: now });
        }
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.ways.remove(&oldest);
            if self.latest.get(&oldest.0) == Some(&oldest.1) {
                self.latest.remove(&oldest.0);
            }
        }
        is_new
    }

    /// The source is authenticated, or gone.
    pub(crate) fn forget(&mut self, source: ShortId) {
        self.latest.remove(&source);
        self.ways.retain(|(id, _), _| *id != source);
        self.order.retain(|(id, _)| *id != source);
    }

    /// The latest handshake in that name.
    pub(crate) fn latest(&self, source: ShortId) -> Option<Handshake> {
        Some((source, *self.latest.get(&source)?))
    }

    /// The ways of `handshake` that are still good, the latest first.
    pub(crate) fn ways(&self, handshake: Handshake, now: Instant) -> [Option<Arc<Outlet>>; 2] {
        let Some(ways) = self.ways.get(&handshake) else {
            return [None, None];
        };
        let fresh = |way: &Learned| now.saturating_duration_since(way.at) < LIFETIME;
        let [latest, other] = ways
            .each_ref()
            .map(|way| way.as_ref().filter(|way| fresh(way)));
        [latest, other].map(|way| way.map(|way| way.outlet.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::PacketType;

    const PEER: ShortId = ShortId(9);
    const OTHER: ShortId = ShortId(8);
    const MS: Duration = Duration::from_millis(1);

    fn path(hop: u64) -> Arc<Outlet> {
        Outlet::new(PacketType::ToIngress, ShortId(1), &[ShortId(hop), PEER])
    }

    /// A handshake of the peer's of that name.
    fn named(name: u8) -> Handshake {
        of(PEER, name)
    }

    fn of(source: ShortId, name: u8) -> Handshake {
        let packet = [&[0xc0, 0, 0, 0, 1, 0, 8][..], &[name; 8]].concat();
        (source, Cid::of_source(&packet).unwrap())
    }

    /// First hops of the ways to the peer.
    fn hops(provisional: &Provisional, now: Instant) -> Vec<u64> {
        let ways = provisional.ways(named(1), now);
        ways.iter().flatten().map(|way| way.first_hop().0).collect()
    }

    #[test]
    fn the_two_latest_ways_are_kept_the_latest_first() {
        let (mut provisional, now) = (Provisional::new(4), Instant::now());
        let mut seen = Vec::new();
        for hop in [2, 3, 2, 2, 3, 4, 3, 5] {
            let known = hops(&provisional, now).contains(&hop);
            assert_eq!(provisional.learn(named(1), path(hop), now), !known);
            seen.push(hops(&provisional, now));
        }
        let wanted: [&[u64]; 8] = [
            &[2],
            &[3, 2],
            &[2, 3],
            &[2, 3],
            &[3, 2],
            &[4, 3],
            &[3, 4],
            &[5, 3],
        ];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn each_way_ages_by_itself() {
        let (mut provisional, start) = (Provisional::new(4), Instant::now());
        provisional.learn(named(1), path(2), start);
        provisional.learn(named(1), path(3), start + 500 * MS);
        assert_eq!(hops(&provisional, start + LIFETIME - MS), [3, 2]);
        assert_eq!(hops(&provisional, start + LIFETIME), [3]);
        assert!(hops(&provisional, start + LIFETIME + 500 * MS).is_empty());
        provisional.learn(named(1), path(2), start + LIFETIME);
        assert_eq!(hops(&provisional, start + LIFETIME), [2, 3]);
    }

    #[test]
    fn sources_are_bounded_and_forgotten() {
        let (mut provisional, now) = (Provisional::new(2), Instant::now());
        for id in 1..=3 {
            provisional.learn(of(ShortId(id), 1), path(2), now);
            provisional.learn(of(ShortId(id), 1), path(3), now);
        }
        let known =
            |provisional: &Provisional, id| provisional.ways(of(ShortId(id), 1), now)[0].is_some();
        assert!(!known(&provisional, 1));
        assert!(known(&provisional, 2) && known(&provisional, 3));
        provisional.forget(ShortId(2));
        provisional.learn(of(ShortId(4), 1), path(2), now);
        assert!(known(&provisional, 3) && known(&provisional, 4));
    }

    #[test]
    fn another_handshake_in_the_same_name_takes_nothing() {
        let (mut provisional, now) = (Provisional::new(9), Instant::now());
        provisional.learn(named(1), path(2), now);
        for forged in 2..9 {
            provisional.learn(named(forged), path(u64::from(forged) + 2), now);
        }
        assert_eq!(hops(&provisional, now), [2]);
        provisional.learn(of(OTHER, 1), path(3), now);
        provisional.forget(PEER);
        assert!(hops(&provisional, now).is_empty());
        assert!(provisional.ways(of(OTHER, 1), now)[0].is_some());
        assert_eq!(provisional.order.len(), 1);
    }
}

//! Where the packets for each destination go: its explicit path, ready to be written.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use super::flow::Flow;
use super::timing::Timing;
use crate::clock;
use crate::identity::ShortId;
use crate::wire::packet::{Header, PacketType, header_len, write_header};

/// How long an unproven path is used. A handshake that takes longer is given up by both ends.
const PROVISIONAL_LIFETIME: Duration = Duration::from_secs(10);

/// One path in the form that packets carry.
#[derive(Debug, PartialEq, Eq)]
pub struct Outlet {
    kind: PacketType,
    own: ShortId,
    hops: Box<[ShortId]>,
}

/// The paths of one virtual socket, by destination.
///
/// *Verified* paths were chosen here, or announced by an authenticated probe. *Provisional* paths
/// come from the headers of packets that nothing authenticates; they carry handshakes until the
/// first probe. While a destination shakes hands anew (it restarted and its old path may be dead)
/// the handshake's packets take both, and all others the verified one alone.
#[derive(Debug)]
pub struct Outlets {
    provisional_limit: usize,
    /// Of the flows.
    timing: Timing,
    tables: RwLock<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    verified: HashMap<ShortId, Verified>,
    /// Sessions by destination: the last one's end forgets the destination.
    holds: HashMap<ShortId, usize>,
    provisional: HashMap<ShortId, Provisional>,
    /// Provisional destinations, oldest first.
    order: VecDeque<ShortId>,
}

#[derive(Debug)]
struct Verified {
    active: Arc<Outlet>,
    mirror: Option<Arc<Outlet>>,
    flow: Arc<Flow>,
}

#[derive(Debug)]
struct Provisional {
    outlet: Arc<Outlet>,
    learned: Instant,
}

/// The way, or the two ways, that a packet takes.
pub(super) struct Ways {
    pub(super) active: Arc<Outlet>,
    pub(super) mirror: Option<Arc<Outlet>>,
    /// Takes a copy of handshake packets only: nothing authenticates it.
    pub(super) handshake: Option<Arc<Outlet>>,
    /// `None`: the path is unproven.
    pub(super) flow: Option<Arc<Flow>>,
}

/// One session's claim on the paths to its other end.
#[derive(Debug)]
pub(super) struct Hold {
    outlets: Arc<Outlets>,
    destination: ShortId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.outlets.release(self.destination);
    }
}

impl Outlet {
    /// `hops` has 1 to 15 entries, the destination last.
    pub fn new(kind: PacketType, own: ShortId, hops: &[ShortId]) -> Arc<Self> {
        Arc::new(Self {
            kind,
            own,
            hops: hops.into(),
        })
    }

    /// The neighbour that takes the packets.
    pub fn first_hop(&self) -> ShortId {
        self.hops[0]
    }

    /// Each hop in order, the destination last.
    pub fn hops(&self) -> &[ShortId] {
        &self.hops
    }

    /// Bytes of the header.
    pub fn header_len(&self) -> usize {
        header_len(self.hops.len())
    }

    /// Appends the header to `out`.
    pub fn write_header(&self, token: u64, out: &mut Vec<u8>) {
        write_header(out, self.kind, token, self.own, &self.hops);
    }
}

impl Outlets {
    /// No paths; at most `provisional_limit` destinations with unproven ones later.
    pub(super) fn new(provisional_limit: usize, timing: Timing) -> Self {
        Self {
            provisional_limit,
            timing,
            tables: RwLock::default(),
        }
    }

    /// Sends what goes to `destination` along `active`, and a copy along `mirror`. An outlet equal
    /// to the one in use goes on as it is.
    pub fn set(&self, destination: ShortId, active: Arc<Outlet>, mirror: Option<Arc<Outlet>>) {
        let mut tables = self.write();
        tables.forget_provisional(destination);
        match tables.verified.get_mut(&destination) {
            Some(verified) => {
                if verified.active != active {
                    verified.active = active;
                }
                if verified.mirror != mirror {
                    verified.mirror = mirror;
                }
            }
            None => {
                let verified = Verified {
                    active,
                    mirror,
                    flow: Arc::new(Flow::new(clock::now(), self.timing)),
                };
                tables.verified.insert(destination, verified);
            }
        }
    }

    /// Packets with this header arrived.
    pub(super) fn handle_arrived(&self, header: &Header<'_>, now: Instant) {
        if let Some(verified) = self.read().verified.get(&header.source()) {
            let answers = header.is_reverse_of(&verified.active.hops);
            verified.flow.handle_arrived(now, answers);
        }
    }

    /// What comes and goes between `destination` and us; `None` without a verified path.
    pub(super) fn flow(&self, destination: ShortId) -> Option<Arc<Flow>> {
        let tables = self.read();
        Some(tables.verified.get(&destination)?.flow.clone())
    }

    /// Keeps the paths to `destination` until every hold on it is dropped.
    pub(super) fn hold(self: &Arc<Self>, destination: ShortId) -> Hold {
        *self.write().holds.entry(destination).or_default() += 1;
        Hold {
            outlets: self.clone(),
            destination,
        }
    }

    fn release(&self, destination: ShortId) {
        let mut tables = self.write();
        if let Some(holds) = tables.holds.get_mut(&destination)
            && *holds > 1
        {
            *holds -= 1;
            return;
        }
        tables.holds.remove(&destination);
        tables.verified.remove(&destination);
        tables.forget_provisional(destination);
    }

    /// Notes the way back to a source that nothing authenticates yet.
    pub(super) fn learn(&self, source: ShortId, outlet: Arc<Outlet>, now: Instant) {
        let learned = Provisional {
            outlet,
            learned: now,
        };
        let mut tables = self.write();
        if tables.provisional.insert(source, learned).is_none() {
            tables.order.push_back(source);
            if tables.order.len() > self.provisional_limit
                && let Some(oldest) = tables.order.pop_front()
            {
                tables.provisional.remove(&oldest);
            }
        }
    }

    /// The verified path to `destination`.
    pub fn active(&self, destination: ShortId) -> Option<Arc<Outlet>> {
        let tables = self.read();
        let verified = tables.verified.get(&destination)?;
        Some(verified.active.clone())
    }

    /// How to reach `destination` now.
    pub(super) fn ways(&self, destination: ShortId) -> Option<Ways> {
        let tables = self.read();
        let provisional = tables
            .provisional
            .get(&destination)
            .filter(|path| path.learned.elapsed() < PROVISIONAL_LIFETIME)
            .map(|path| &path.outlet);
        match (tables.verified.get(&destination), provisional) {
            (Some(verified), None) => Some(Ways {
                active: verified.active.clone(),
                mirror: verified.mirror.clone(),
                handshake: None,
                flow: Some(verified.flow.clone()),
            }),
            (Some(verified), Some(provisional)) => Some(Ways {
                active: verified.active.clone(),
                mirror: verified.mirror.clone(),
                handshake: (verified.active != *provisional).then(|| provisional.clone()),
                flow: Some(verified.flow.clone()),
            }),
            (None, Some(provisional)) => Some(Ways {
                active: provisional.clone(),
                mirror: None,
                handshake: None,
                flow: None,
            }),
            (None, None) => None,
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Tables> {
        self.tables.read().expect("no panic while locked")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Tables> {
        self.tables.write().expect("no panic while locked")
    }
}

impl Tables {
    fn forget_provisional(&mut self, destination: ShortId) {
        if self.provisional.remove(&destination).is_some() {
            self.order.retain(|id| *id != destination);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: ShortId = ShortId(9);

    fn outlets(provisional_limit: usize) -> Outlets {
        let timing = Timing::new(Duration::from_millis(100));
        Outlets::new(provisional_limit, timing)
    }

    fn path(hop: u64) -> Arc<Outlet> {
        Outlet::new(PacketType::ToIngress, ShortId(1), &[ShortId(hop), PEER])
    }

    /// The active way, and the one that handshakes take besides.
    fn ways(outlets: &Outlets) -> (ShortId, Option<ShortId>) {
        let ways = outlets.ways(PEER).unwrap();
        let handshake = ways.handshake.map(|handshake| handshake.first_hop());
        (ways.active.first_hop(), handshake)
    }

    #[test]
    fn an_unproven_path_serves_until_a_proven_one_comes() {
        let outlets = outlets(4);
        assert!(outlets.ways(PEER).is_none());
        outlets.learn(PEER, path(2), Instant::now());
        assert_eq!(ways(&outlets), (ShortId(2), None));
        outlets.set(PEER, path(3), None);
        assert_eq!(ways(&outlets), (ShortId(3), None));
        assert_eq!(outlets.active(PEER), Some(path(3)));
    }

    #[test]
    fn a_new_handshake_is_answered_on_both_ways_and_takes_nothing_over() {
        let outlets = outlets(4);
        outlets.set(PEER, path(3), None);
        outlets.learn(PEER, path(2), Instant::now());
        assert_eq!(ways(&outlets), (ShortId(3), Some(ShortId(2))));
        outlets.learn(PEER, path(3), Instant::now());
        assert_eq!(ways(&outlets), (ShortId(3), None));
    }

    #[test]
    fn unproven_paths_are_bounded_and_age() {
        let outlets = outlets(2);
        for id in 1..=3 {
            outlets.learn(ShortId(id), path(2), Instant::now());
        }
        assert!(outlets.ways(ShortId(1)).is_none());
        assert!(outlets.ways(ShortId(2)).is_some());
        if let Some(long_ago) = Instant::now().checked_sub(PROVISIONAL_LIFETIME) {
            outlets.learn(PEER, path(2), long_ago);
            assert!(outlets.ways(PEER).is_none());
        }
    }

    #[test]
    fn a_destination_is_forgotten_with_its_last_session() {
        let outlets = Arc::new(outlets(2));
        let (first, second) = (outlets.hold(PEER), outlets.hold(PEER));
        outlets.set(PEER, path(2), Some(path(3)));
        assert_eq!(outlets.ways(PEER).unwrap().mirror, Some(path(3)));
        drop(first);
        assert!(outlets.ways(PEER).is_some());
        drop(second);
        assert!(outlets.ways(PEER).is_none());
    }

    #[test]
    fn an_equal_path_goes_on_as_it_is() {
        let outlets = outlets(2);
        outlets.set(PEER, path(2), None);
        let before = outlets.active(PEER).unwrap();
        outlets.set(PEER, path(2), Some(path(3)));
        assert!(Arc::ptr_eq(&before, &outlets.active(PEER).unwrap()));
        outlets.set(PEER, path(3), None);
        assert_eq!(outlets.active(PEER), Some(path(3)));
    }
}

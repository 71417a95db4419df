//! Where the packets for each destination go: its explicit path, ready to be written.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use super::cid::Cid;
use super::flow::Flow;
use super::outlet::Outlet;
use super::provisional::{Handshake, Provisional};
use crate::clock;
use crate::identity::ShortId;
use crate::wire::packet::Header;

/// The paths of one virtual socket, by destination.
///
/// *Verified* paths were chosen here, or announced by an authenticated probe. *Provisional* paths
/// come from the headers of packets that nothing authenticates; until the first probe they carry
/// handshakes, along the two latest at once, and everything else along the latest: a peer that never
/// sends a probe is not sent its data twice. While a destination shakes hands anew (it restarted and
/// its old path may be dead) the handshake's packets take these and the verified one, and all others
/// the verified one alone.
#[derive(Debug)]
pub struct Outlets {
    tables: RwLock<Tables>,
}

#[derive(Debug)]
struct Tables {
    verified: HashMap<ShortId, Verified>,
    /// Sessions by destination: the last one's end forgets the destination.
    holds: HashMap<ShortId, usize>,
    provisional: Provisional,
}

#[derive(Debug)]
struct Verified {
    active: Arc<Outlet>,
    mirror: Option<Arc<Outlet>>,
    flow: Arc<Flow>,
}

/// The way, or the ways, that a packet takes.
pub(crate) struct Ways {
    pub(crate) active: Arc<Outlet>,
    pub(crate) mirror: Option<Arc<Outlet>>,
    /// Take copies of handshake packets only: nothing authenticates them.
    pub(crate) handshake: [Option<Arc<Outlet>>; 2],
    /// `None`: the path is unproven.
    pub(crate) flow: Option<Arc<Flow>>,
}

/// One session's claim on the paths to its other end.
#[derive(Debug)]
pub(crate) struct Hold {
    outlets: Arc<Outlets>,
    destination: ShortId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.outlets.release(self.destination);
    }
}

impl Outlets {
    /// No paths; at most `provisional_limit` destinations with unproven ones later.
    pub(crate) fn new(provisional_limit: usize) -> Self {
        Self {
            tables: RwLock::new(Tables {
                verified: HashMap::new(),
                holds: HashMap::new(),
                provisional: Provisional::new(provisional_limit),
            }),
        }
    }

    /// Sends what goes to `destination` along `active`, and a copy along `mirror`. An outlet equal
    /// to the one in use goes on as it is, and so does a handshake on provisional paths beside it: it
    /// may be another session's, of an ingress that came back.
    pub fn set(&self, destination: ShortId, active: Arc<Outlet>, mirror: Option<Arc<Outlet>>) {
        let mut tables = self.write();
        let tables = &mut *tables;
        match tables.verified.get_mut(&destination) {
            Some(verified) => {
                if verified.active != active {
                    verified.active = active;
                    tables.provisional.forget(destination);
                } else {
                    verified.active.widen_as(&active);
                }
                match (&verified.mirror, &mirror) {
                    (Some(old), Some(new)) if old == new => old.widen_as(new),
                    _ => verified.mirror = mirror,
                }
            }
            None => {
                let verified = Verified {
                    active,
                    mirror,
                    flow: Arc::new(Flow::new(clock::now())),
                };
                tables.verified.insert(destination, verified);
                tables.provisional.forget(destination);
            }
        }
    }

    /// Packets with this header arrived.
    pub(crate) fn handle_arrived(&self, header: &Header<'_>, now: Instant) {
        if let Some(verified) = self.read().verified.get(&header.source()) {
            let answers = header.is_reverse_of(verified.active.hops());
            verified.flow.handle_arrived(now, answers);
        }
    }

    /// What comes and goes between `destination` and us; `None` without a verified path.
    pub(crate) fn flow(&self, destination: ShortId) -> Option<Arc<Flow>> {
        let tables = self.read();
        Some(tables.verified.get(&destination)?.flow.clone())
    }

    /// Keeps the paths to `destination` until every hold on it is dropped.
    pub(crate) fn hold(self: &Arc<Self>, destination: ShortId) -> Hold {
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
        tables.provisional.forget(destination);
    }

    /// Notes the way back of a handshake that nothing authenticates yet; returns whether it is new.
    pub(crate) fn learn(&self, handshake: Handshake, outlet: Arc<Outlet>, now: Instant) -> bool {
        self.write().provisional.learn(handshake, outlet, now)
    }

    /// The verified path to `destination`.
    pub fn active(&self, destination: ShortId) -> Option<Arc<Outlet>> {
        let tables = self.read();
        let verified = tables.verified.get(&destination)?;
        Some(verified.active.clone())
    }

    /// How to reach `destination` now, with a packet of that handshake, or with data.
    pub(crate) fn ways(
        &self,
        destination: ShortId,
        cid: Option<Cid>,
        now: Instant,
    ) -> Option<Ways> {
        let tables = self.read();
        let provisional = &tables.provisional;
        let handshake = cid.map(|cid| (destination, cid));
        let handshake = handshake.or_else(|| provisional.latest(destination));
        let provisional = handshake.map(|handshake| provisional.ways(handshake, now));
        let provisional = provisional.unwrap_or_default();
        match (tables.verified.get(&destination), provisional) {
            (Some(verified), provisional) => {
                let used = |way: &Arc<Outlet>| {
                    verified.active == *way || verified.mirror.as_ref() == Some(way)
                };
                Some(Ways {
                    active: verified.active.clone(),
                    mirror: verified.mirror.clone(),
                    handshake: provisional.map(|way| way.filter(|way| !used(way))),
                    flow: Some(verified.flow.clone()),
                })
            }
            (None, [latest, other]) => Some(Ways {
                active: latest?,
                mirror: None,
                handshake: [other, None],
                flow: None,
            }),
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Tables> {
        self.tables.read().expect("no panic while locked")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Tables> {
        self.tables.write().expect("no panic while locked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::PacketType;

    const PEER: ShortId = ShortId(9);

    fn outlets(provisional_limit: usize) -> Outlets {
        Outlets::new(provisional_limit)
    }

    /// What the peer's handshake is called.
    fn cid() -> Cid {
        Cid::of_destination(b"\xe0\0\0\0\x01\x08ingress1").unwrap()
    }

    fn path(hop: u64) -> Arc<Outlet> {
        Outlet::new(PacketType::ToIngress, ShortId(1), &[ShortId(hop), PEER])
    }

    /// First hops of the active way, the mirror, and those that handshakes take besides.
    fn ways(outlets: &Outlets) -> (u64, Option<u64>, Vec<u64>) {
        let ways = outlets.ways(PEER, Some(cid()), clock::now()).unwrap();
        let hop = |way: &Arc<Outlet>| way.first_hop().0;
        let handshake = ways.handshake.iter().flatten().map(hop).collect();
        (hop(&ways.active), ways.mirror.as_ref().map(hop), handshake)
    }

    #[test]
    fn unproven_paths_serve_both_until_a_proven_one_comes() {
        let outlets = outlets(4);
        assert!(outlets.ways(PEER, Some(cid()), clock::now()).is_none());
        outlets.learn((PEER, cid()), path(2), clock::now());
        assert_eq!(ways(&outlets), (2, None, vec![]));
        outlets.learn((PEER, cid()), path(4), clock::now());
        assert_eq!(ways(&outlets), (4, None, vec![2]));
        outlets.set(PEER, path(3), None);
        assert_eq!(ways(&outlets), (3, None, vec![]));
        assert_eq!(outlets.active(PEER), Some(path(3)));
    }

    #[test]
    fn a_new_handshake_is_answered_on_all_ways_and_takes_nothing_over() {
        let outlets = outlets(4);
        outlets.set(PEER, path(3), Some(path(5)));
        outlets.learn((PEER, cid()), path(2), clock::now());
        assert_eq!(ways(&outlets), (3, Some(5), vec![2]));
        outlets.learn((PEER, cid()), path(4), clock::now());
        assert_eq!(ways(&outlets), (3, Some(5), vec![4, 2]));
        outlets.learn((PEER, cid()), path(3), clock::now());
        assert_eq!(ways(&outlets), (3, Some(5), vec![4]), "no way twice");
        outlets.learn((PEER, cid()), path(5), clock::now());
        assert_eq!(ways(&outlets), (3, Some(5), vec![]));
    }

    #[test]
    fn a_handshake_keeps_its_ways_until_the_proven_path_changes() {
        let outlets = outlets(4);
        outlets.set(PEER, path(3), None);
        outlets.learn((PEER, cid()), path(2), clock::now());
        // The old session's task says at each turn what it said before, or mirrors.
        outlets.set(PEER, path(3), None);
        assert_eq!(ways(&outlets), (3, None, vec![2]));
        outlets.set(PEER, path(3), Some(path(5)));
        assert_eq!(ways(&outlets), (3, Some(5), vec![2]));
        outlets.set(PEER, path(4), None);
        assert_eq!(ways(&outlets), (4, None, vec![]));
    }

    #[test]
    fn a_destination_is_forgotten_with_its_last_session() {
        let outlets = Arc::new(outlets(2));
        let (first, second) = (outlets.hold(PEER), outlets.hold(PEER));
        outlets.set(PEER, path(2), Some(path(3)));
        assert_eq!(
            outlets
                .ways(PEER, Some(cid()), clock::now())
                .unwrap()
                .mirror,
            Some(path(3))
        );
        drop(first);
        assert!(outlets.ways(PEER, Some(cid()), clock::now()).is_some());
        drop(second);
        assert!(outlets.ways(PEER, Some(cid()), clock::now()).is_none());
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

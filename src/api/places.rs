//! Places for connections: a share for each network, so that nobody keeps a balancer's checks out, and
//! some for this host alone.
//!
//! When all are taken, whoever has none gets that of the connection that has waited longest for a request:
//! connections from many networks that are kept and not used close no check either. Their answers are
//! given, and a client that keeps a connection knows that it may end (RFC 9112 section 9.3.1).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::caller::Caller;
use crate::limit::{Network, STRANGERS, Share, Shares};

/// Share of `limits.http_connections` that only this host may use, so that strangers who hold
/// connections to the open endpoints do not lock its operator out: one in this many.
const LOCAL_SHARE: usize = 8;

/// Connections through the local socket, beside `limits.http_connections`: nobody else can take them.
const OPERATOR: usize = 4;

/// The places of one server.
pub(super) struct Places {
    anyone: Arc<Shares<Network>>,
    local: Arc<Semaphore>,
    operator: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

/// Connections that wait for a request, by when they began to.
#[derive(Default)]
struct Waiting {
    next: u64,
    seats: BTreeMap<u64, Weak<Seat>>,
}

/// One place.
struct Place {
    share: Option<Share<Network>>,
    _local: Option<OwnedSemaphorePermit>,
}

/// What a connection has of a place, until another needs it more.
pub(super) struct Seat {
    places: Arc<Places>,
    state: Mutex<State>,
    ended: Notify,
}

struct State {
    place: Option<Place>,
    /// Since when it waits, by [`Waiting::next`].
    ticket: Option<u64>,
}

impl Places {
    /// As many as `limits.http_connections`.
    pub(super) fn new(connections: usize) -> Arc<Self> {
        let local = connections / LOCAL_SHARE;
        Arc::new(Self {
            anyone: Shares::new(connections - local, STRANGERS),
            local: Arc::new(Semaphore::new(local)),
            operator: Arc::new(Semaphore::new(OPERATOR)),
            waiting: Mutex::default(),
        })
    }

    /// A place for a new connection of `caller`; `None`: it has its share, or all have requests under way.
    /// The second of the pair: another connection ends for it.
    pub(super) fn seat(self: &Arc<Self>, caller: Caller) -> Option<(Arc<Seat>, bool)> {
        let free = self.take(caller);
        let is_free = free.is_some();
        let place = free.or_else(|| self.take_over(caller))?;
        let seat = Arc::new(Seat {
            places: self.clone(),
            state: Mutex::new(State {
                place: Some(place),
                ticket: None,
            }),
            ended: Notify::new(),
        });
        seat.waits();
        Some((seat, !is_free))
    }

    fn take(&self, caller: Caller) -> Option<Place> {
        let take = |places: &Arc<Semaphore>| places.clone().try_acquire_owned().ok();
        let (share, local) = match caller {
            Caller::Operator => (None, take(&self.operator)),
            Caller::At(peer) => match self.anyone.take(peer.ip().into()) {
                None if caller.is_local() => (None, take(&self.local)),
                share => (share, None),
            },
        };
        (share.is_some() || local.is_some()).then_some(Place {
            share,
            _local: local,
        })
    }

    /// The place of whoever waits longest, for a network that has none.
    fn take_over(&self, caller: Caller) -> Option<Place> {
        let Caller::At(peer) = caller else {
            return None;
        };
        if self.anyone.holds(peer.ip().into()) {
            return None;
        }
        loop {
            let (_, longest) = self.lock().seats.pop_first()?;
            // One that is ending has given its place back.
            if longest.upgrade().is_some_and(|seat| seat.end()) {
                return self.take(caller);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A request has come.
    pub(super) fn is_served(&self) {
        let ticket = self.lock().ticket.take();
        if let Some(ticket) = ticket {
            self.places.lock().seats.remove(&ticket);
        }
    }

    /// It was answered, or there was none yet.
    pub(super) fn waits(self: &Arc<Self>) {
        let mut state = self.lock();
        let is_shared = |place: &Place| place.share.is_some();
        // Nobody else may have a place that is kept for this host.
        if state.ticket.is_none() && state.place.as_ref().is_some_and(is_shared) {
            let mut waiting = self.places.lock();
            let ticket = waiting.next;
            waiting.next += 1;
            waiting.seats.insert(ticket, Arc::downgrade(self));
            state.ticket = Some(ticket);
        }
    }

    /// Completes when the place is another's.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Gives the place up; whether there was one.
    fn end(&self) -> bool {
        let place = self.lock().place.take();
        self.ended.notify_one();
        place.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.is_served();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Caller {
        Caller::At(address.parse().unwrap())
    }

    fn seats(places: &Arc<Places>, caller: Caller) -> Vec<Arc<Seat>> {
        std::iter::from_fn(|| Some(places.seat(caller)?.0)).collect()
    }

    #[test]
    fn strangers_leave_places_for_this_host() {
        let places = Places::new(16);
        let first = seats(&places, at("192.0.2.1:1"));
        assert_eq!(first.len(), 7);
        let second = seats(&places, at("192.0.2.2:1"));
        assert_eq!(second.len(), 4, "half of what is left");
        let balancer = seats(&places, at("192.0.2.3:1"));
        assert_eq!(balancer.len(), 2);
        let last = seats(&places, at("192.0.2.4:1"));
        assert_eq!(last.len(), 1);
        let own = seats(&places, at("[::ffff:127.0.0.1]:1"));
        assert_eq!(
            own.len(),
            3,
            "two are its own, and one of who waits longest"
        );
        assert_eq!(seats(&places, Caller::Operator).len(), 4);
    }

    #[test]
    fn who_has_no_place_gets_that_of_who_waits_longest() {
        let places = Places::new(4);
        let host = |n: u8| at(&format!("192.0.2.{n}:1"));
        let crowd: Vec<_> = (1..=4).map(|n| places.seat(host(n)).unwrap().0).collect();
        assert!(places.seat(host(1)).is_none(), "it has its share");
        crowd[0].is_served();
        crowd[1].is_served();
        crowd[1].waits();
        let has_place = |seat: &Arc<Seat>| seat.lock().place.is_some();
        let check = places.seat(host(5)).unwrap();
        assert!(check.1 && has_place(&check.0));
        let left: Vec<bool> = crowd.iter().map(has_place).collect();
        assert_eq!(left, [true, true, false, true], "the third waited longest");
        let more: Vec<_> = (6..=8).map(|n| places.seat(host(n)).unwrap()).collect();
        assert!(has_place(&crowd[0]), "its request is under way");
        assert!(!has_place(&crowd[1]) && !has_place(&crowd[3]) && !has_place(&check.0));
        more.iter().for_each(|(seat, _)| seat.is_served());
        assert!(places.seat(host(9)).is_none(), "all are served");
        drop(more);
        assert!(places.seat(host(9)).is_some_and(|(_, over)| !over));
        drop(crowd);
        assert!(places.lock().seats.is_empty());
    }
}

//! Places that many networks share, of which no one can take all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Network;

/// A number of places. A network is given one as long as it holds fewer than are free (the dynamic
/// threshold of Choudhury and Hahne, 1998): alone it gets half of them, two get a third each, and
/// whoever holds none is only refused when all are taken.
#[derive(Debug)]
pub struct Shares(Mutex<Table>);

#[derive(Debug)]
struct Table {
    free: usize,
    /// Never 0.
    held: HashMap<Network, usize>,
}

/// One place; free again when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    network: Network,
}

impl Shares {
    pub fn new(places: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Table {
            free: places,
            held: HashMap::new(),
        })))
    }

    /// A place for `network`; `None`: it has its share, or all are taken.
    pub fn take(self: &Arc<Self>, network: Network) -> Option<Share> {
        let mut table = self.lock();
        let held = table.held.get(&network).copied().unwrap_or(0);
        if held >= table.free {
            return None;
        }
        table.free -= 1;
        table.held.insert(network, held + 1);
        drop(table);
        Some(Share {
            shares: self.clone(),
            network,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut table = self.shares.lock();
        table.free += 1;
        match table.held.get_mut(&self.network) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                table.held.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn network(number: u32) -> Network {
        IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    fn take_all(shares: &Arc<Shares>, number: u32) -> Vec<Share> {
        std::iter::from_fn(|| shares.take(network(number))).collect()
    }

    #[test]
    fn one_network_gets_half_and_the_others_always_something() {
        let shares = Shares::new(256);
        let first = take_all(&shares, 1);
        assert_eq!(first.len(), 128);
        let second = take_all(&shares, 2);
        assert_eq!(second.len(), 64);
        assert!(shares.take(network(3)).is_some());
        drop(first);
        assert_eq!(take_all(&shares, 1).len(), 96);
        drop(second);
        assert_eq!(shares.lock().free, 256);
        assert!(shares.lock().held.is_empty());
    }

    #[test]
    fn the_last_place_goes_to_who_has_none() {
        let shares = Shares::new(1);
        let place = shares.take(network(1));
        assert!(place.is_some());
        assert!(shares.take(network(2)).is_none());
        drop(place);
        assert!(shares.take(network(2)).is_some());
        assert!(Shares::new(0).take(network(1)).is_none());
    }
}

//! How often something may happen: altogether, and for each network or name.
//!
//! Token buckets, kept as one time each (the generic cell rate algorithm, ITU-T I.371): when the
//! bucket will be full again.

use std::hash::Hash;
use std::time::{Duration, Instant};

use super::{Network, Networks};

/// Keys remembered at once, some 50 bytes each. An entry counts for as long as its bucket is not
/// full: some milliseconds after a single packet.
const KEYS: usize = 16_384;

/// At the bound, how often full buckets are looked for: it walks the whole table.
const SWEEP: Duration = Duration::from_millis(10);

/// So much a second, and the tokens of one second at once when nothing happened before.
#[derive(Clone, Copy, Debug)]
struct Pace {
    every: Duration,
    burst: Duration,
}

impl Pace {
    fn per_second(rate: u32) -> Self {
        Self {
            every: Duration::from_secs(1) / rate.max(1),
            burst: Duration::from_secs(1),
        }
    }

    /// When the bucket will be full again after one more token is taken; `None`: it holds none.
    fn take(self, full_at: Option<Instant>, now: Instant) -> Option<Instant> {
        let full_at = full_at.map_or(now, |at| at.max(now)) + self.every;
        (full_at.saturating_duration_since(now) <= self.burst.max(self.every)).then_some(full_at)
    }
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    pace: Pace,
    full_at: Option<Instant>,
}

impl Bucket {
    /// A full one: `rate` a second, and as many at once.
    pub fn per_second(rate: u32) -> Self {
        Self {
            pace: Pace::per_second(rate),
            full_at: None,
        }
    }

    /// Takes a token; `false`: there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let full_at = self.pace.take(self.full_at, now);
        self.full_at = full_at.or(self.full_at);
        full_at.is_some()
    }
}

/// A bucket for each network, or whoever else is told apart by a key.
#[derive(Debug)]
pub struct Rates<K = Network> {
    pace: Pace,
    full_at: Networks<Instant, K>,
}

impl<K: Eq + Hash> Rates<K> {
    /// Full ones: `rate` a second for each key, and as many at once.
    pub fn per_second(rate: u32) -> Self {
        Self {
            pace: Pace::per_second(rate),
            full_at: Networks::new(KEYS, SWEEP),
        }
    }

    /// Takes a token of that key; `false`: there is none, or more are busy than are remembered.
    pub fn take(&mut self, key: K, now: Instant) -> bool {
        let is_busy = |full_at: &Instant| *full_at > now;
        let Some(known) = self.full_at.entry(key, now, is_busy, || now) else {
            return false;
        };
        let full_at = self.pace.take(Some(*known), now);
        *known = full_at.unwrap_or(*known);
        full_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn network(number: u32) -> Network {
        IpAddr::from(Ipv4Addr::from_bits(number)).into()
    }

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::per_second(100);
        let at_once = (0..1_000).filter(|_| bucket.take(start)).count();
        assert_eq!(at_once, 100);
        let later = (0..1_000).filter(|at| bucket.take(start + *at * MS));
        assert_eq!(later.count(), 99);
    }

    #[test]
    fn a_rate_of_one_and_of_none_let_one_through() {
        let start = Instant::now();
        for rate in [0, 1] {
            let mut bucket = Bucket::per_second(rate);
            assert!(bucket.take(start));
            assert!(!bucket.take(start + 999 * MS));
            assert!(bucket.take(start + 1_000 * MS));
        }
    }

    #[test]
    fn one_network_takes_nothing_from_another() {
        let start = Instant::now();
        let mut rates = Rates::per_second(10);
        while rates.take(network(1), start) {}
        assert!(rates.take(network(2), start));
        assert!(rates.take(network(1), start + 100 * MS));
        assert!(!rates.take(network(1), start + 100 * MS));
    }

    #[test]
    fn many_networks_are_forgotten_as_their_buckets_fill() {
        let start = Instant::now();
        let mut rates = Rates::per_second(1_000);
        let taken = (0..100_000).filter(|number| rates.take(network(*number), start));
        assert_eq!(taken.count(), KEYS);
        assert!(!rates.take(network(200_000), start));
        assert!(rates.take(network(1), start), "a known one");
        assert!(rates.take(network(200_000), start + SWEEP));
        assert!(rates.full_at.count() < KEYS);
    }
}

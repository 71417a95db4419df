//! How often a thing may happen again: once in an interval for each key, and a bounded number of
//! keys at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What happened within the last interval.
#[derive(Debug)]
pub struct Recent<K> {
    interval: Duration,
    most: usize,
    /// Oldest first.
    seen: VecDeque<(K, Instant)>,
}

impl<K: PartialEq> Recent<K> {
    /// Lets each key happen once in `interval`, and at most `most` keys. A search is linear, so
    /// `most` should be small.
    pub fn new(interval: Duration, most: usize) -> Self {
        Self {
            interval,
            most,
            seen: VecDeque::new(),
        }
    }

    /// Whether `key` may happen at `now`; if so, it has.
    pub fn admit(&mut self, now: Instant, key: K) -> bool {
        while self
            .seen
            .front()
            .is_some_and(|(_, at)| now.saturating_duration_since(*at) >= self.interval)
        {
            self.seen.pop_front();
        }
        if self.seen.len() >= self.most || self.seen.iter().any(|(seen, _)| *seen == key) {
            return false;
        }
        self.seen.push_back((key, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_once_in_an_interval_and_a_bounded_number_of_keys() {
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut recent = Recent::new(Duration::from_millis(50), 2);
        assert!(recent.admit(ms(0), 'a'));
        assert!(!recent.admit(ms(49), 'a'));
        assert!(recent.admit(ms(49), 'b'), "another key is not held back");
        assert!(!recent.admit(ms(49), 'c'), "no room");
        assert!(recent.admit(ms(50), 'a'), "the interval is over");
        assert!(!recent.admit(ms(98), 'b'));
        assert!(recent.admit(ms(99), 'c'));
    }
}

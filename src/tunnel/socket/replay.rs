//! Which numbers of a sender have been seen: each counts once, whatever the network or somebody on
//! the way repeats.
//!
//! A sliding window as IPsec has it (RFC 4303 section 3.4.3). Its size lets numbers arrive late, as
//! they do when they take paths of different lengths.

/// Numbers below the highest that may still arrive: two probes every 20 ms, so 1.2 s between the
/// fastest and the slowest path.
const SIZE: u64 = u128::BITS as u64;

/// The numbers seen of one sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplayWindow {
    highest: u64,
    /// Bit `n`: the highest less `n` was seen. All clear: nothing was.
    seen: u128,
}

impl ReplayWindow {
    /// Notes an authenticated `number`; whether it is new. One too old to tell is not.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        if let Some(ahead) = number.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            let kept = self
                .seen
                .checked_shl(u32::try_from(ahead).unwrap_or(u32::MAX));
            self.seen = kept.unwrap_or(0) | 1;
            self.highest = number;
            return true;
        }
        let behind = self.highest - number;
        if behind >= SIZE {
            return false;
        }
        let bit = 1_u128 << behind;
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn taken(numbers: &[u64]) -> Vec<bool> {
        let mut window = ReplayWindow::default();
        numbers.iter().map(|number| window.take(*number)).collect()
    }

    #[test]
    fn each_number_counts_once_in_any_order() {
        assert_eq!(taken(&[1, 2, 2, 1, 3]), [true, true, false, false, true]);
        assert_eq!(taken(&[5, 3, 4, 3, 5]), [true, true, true, false, false]);
    }

    #[test]
    fn what_is_too_old_to_tell_is_refused() {
        assert_eq!(taken(&[200, 73, 72]), [true, true, false]);
        assert_eq!(taken(&[1, 129, 1, 2]), [true, true, false, true]);
    }

    #[test]
    fn the_ends_of_the_range_are_numbers_too() {
        assert_eq!(taken(&[0, 0, 1]), [true, false, true]);
        let last = u64::MAX;
        assert_eq!(taken(&[0, last, last, last - 1]), [true, true, false, true]);
    }

    proptest! {
        /// Against a set of everything that was ever taken.
        #[test]
        fn the_window_is_a_set_that_forgets_from_below(
            steps in proptest::collection::vec((any::<bool>(), 0_u64..300), 1..200)
        ) {
            let (mut window, mut seen, mut near) = (ReplayWindow::default(), BTreeSet::new(), 0_u64);
            for (forward, step) in steps {
                near = if forward { near + step / 10 } else { near.saturating_sub(step) };
                let highest: u64 = seen.last().copied().unwrap_or(0);
                let in_reach = highest.saturating_sub(near) < SIZE;
                prop_assert_eq!(window.take(near), in_reach && seen.insert(near));
            }
        }
    }
}

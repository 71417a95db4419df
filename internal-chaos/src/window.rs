//! What is seen in the time around a fault, and a clock that tells what the machine did meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the clock is looked at.
const BEAT: Duration = Duration::from_millis(1);

/// Looks at the clock until `enough`: on a thread that does nothing else, a gap is the machine's.
pub async fn beat(enough: Arc<AtomicBool>) -> Vec<Instant> {
    let mut beats = Vec::new();
    while !enough.load(Ordering::Relaxed) {
        tokio::time::sleep(BEAT).await;
        beats.push(Instant::now());
    }
    beats
}

/// The time in which stalls and connects count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Instant,
    pub to: Instant,
}

/// Before the fault: what comes then belongs to it only if it is cut short by it.
const BEFORE: Duration = Duration::from_millis(100);

/// After the fault.
pub const AFTER: Duration = Duration::from_millis(2_500);

/// A time in which nothing came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub begun: Instant,
    pub length: Duration,
}

impl Window {
    /// The window of a fault.
    pub fn around(fault: Instant) -> Self {
        Self {
            from: fault.checked_sub(BEFORE).unwrap_or(fault),
            to: fault + AFTER,
        }
    }

    pub fn contains(self, moment: Instant) -> bool {
        (self.from..=self.to).contains(&moment)
    }

    /// The longest time inside the window without any of `moments` (ascending). The window's own
    /// ends bound it, so that silence from some moment on counts up to the end.
    pub fn longest_gap(self, moments: impl IntoIterator<Item = Instant>) -> Gap {
        let none = Gap {
            begun: self.from,
            length: Duration::ZERO,
        };
        // The first of equals.
        self.gaps(moments).fold(none, |longest, gap| {
            if gap.length > longest.length {
                gap
            } else {
                longest
            }
        })
    }

    /// All times inside the window between two of `moments`, and before the first and after the last.
    pub fn gaps(self, moments: impl IntoIterator<Item = Instant>) -> impl Iterator<Item = Gap> {
        let inside = moments.into_iter().filter(move |it| self.contains(*it));
        let mut last = self.from;
        inside.chain([self.to]).map(move |moment| {
            let begun = std::mem::replace(&mut last, moment);
            Gap {
                begun,
                length: moment.saturating_duration_since(begun),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_longest_gap_is_bounded_by_the_window() {
        let fault = Instant::now() + 1_000 * MS;
        let window = Window::around(fault);
        let gap = |moments: &[i32]| {
            let at = |ms: &i32| {
                let distance = ms.unsigned_abs() * MS;
                if *ms < 0 {
                    fault - distance
                } else {
                    fault + distance
                }
            };
            let Gap { begun, length } = window.longest_gap(moments.iter().map(at));
            assert!(window.contains(begun));
            length
        };
        assert_eq!(gap(&[]), 2_600 * MS);
        assert_eq!(gap(&[-500, 2_900]), 2_600 * MS);
        assert_eq!(gap(&[-50, 300]), 2_200 * MS);
        let mut steady: Vec<i32> = (-20..300).map(|n| n * 10).collect();
        assert_eq!(gap(&steady), 10 * MS);
        steady.retain(|ms| !(5..=250).contains(ms));
        assert_eq!(gap(&steady), 260 * MS);
    }
}

//! How often probes, kicks and words of doubt are repeated while a path is doubted.

use std::time::Duration;

/// At first: each of them may be lost with the path, and one that is lost costs no more than this.
const HURRY: Duration = Duration::from_millis(20);

/// At last: as far apart as probes of a busy path; the other end itself may be away.
const PATIENT: Duration = Duration::from_millis(200);

/// In between the part of the doubt's age that passes until the next one: 20 ms until it is 100 ms
/// old, by when both ends know of the usual doubt; 200 ms from a second on. So a doubt costs 5
/// repeats in its first 100 ms and a dozen in the rest of its first second.
const PART: u32 = 5;

/// The time from one repeat to the next in a doubt of that age.
pub(crate) fn pace(age: Duration) -> Duration {
    (age / PART).clamp(HURRY, PATIENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn haste_wears_off_within_a_second() {
        for (age, wanted) in [(0, 20), (100, 20), (250, 50), (1_000, 200), (60_000, 200)] {
            assert_eq!(pace(age * MS), wanted * MS, "after {age} ms");
        }
    }

    #[test]
    fn a_second_of_doubt_costs_a_third_of_constant_haste() {
        let (mut age, mut repeats) = (Duration::ZERO, 0);
        while age < Duration::from_secs(1) {
            age += pace(age);
            repeats += 1;
        }
        assert!((15..=18).contains(&repeats), "{repeats} repeats");
    }
}

//! Which fault strikes when: pure.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::super::model::Fault;
use super::super::wires::FaultId;

/// Before the first fault of a cycle and after the last one: connections open in peace, and those
/// of the last fault have time to find their way.
const MARGIN: Duration = Duration::from_secs(1);

/// Between two faults, at least. A link that returns is held back for a second.
const SHORTEST_REST: Duration = Duration::from_millis(300);
const LONGEST_REST: Duration = Duration::from_millis(2_000);

/// A fault that does not say how long it lasts.
const LASTS: Duration = Duration::from_secs(1);

/// A fault with its times from the beginning of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    pub(super) fault: FaultId,
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// Draws faults, one after the other; all have had their turn before one comes again.
#[derive(Debug)]
pub(super) struct Urn {
    /// How long each lasts.
    lasts: Vec<Duration>,
    left: Vec<FaultId>,
}

impl Urn {
    pub(super) fn new(faults: &[Fault]) -> Self {
        let lasts = faults.iter().map(|fault| fault.lasts.unwrap_or(LASTS));
        Self {
            lasts: lasts.collect(),
            left: Vec::new(),
        }
    }

    /// The faults of a load of this length. One that does not fit any more opens the next load.
    pub(super) fn draw(&mut self, length: Duration, random: &mut StdRng) -> Vec<Drawn> {
        let mut drawn = Vec::new();
        let mut at = MARGIN;
        while let Some(fault) = self.next(random) {
            at += random.random_range(SHORTEST_REST..LONGEST_REST);
            let to = at + self.lasts[fault];
            if to + MARGIN > length {
                self.left.push(fault);
                break;
            }
            drawn.push(Drawn {
                fault,
                from: at,
                to,
            });
            at = to;
        }
        drawn
    }

    fn next(&mut self, random: &mut StdRng) -> Option<FaultId> {
        if self.left.is_empty() {
            self.left = (0..self.lasts.len()).collect();
            self.left.shuffle(random);
        }
        self.left.pop()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng;

    use super::*;

    fn urn() -> Urn {
        Urn {
            lasts: [1_000, 500, 2_000].map(Duration::from_millis).to_vec(),
            left: Vec::new(),
        }
    }

    fn many(seed: u64) -> Vec<Vec<Drawn>> {
        let (mut urn, mut random) = (urn(), StdRng::seed_from_u64(seed));
        let length = Duration::from_secs(12);
        (0..30).map(|_| urn.draw(length, &mut random)).collect()
    }

    #[test]
    fn equal_seeds_draw_equal_faults() {
        assert_eq!(many(7), many(7));
        assert_ne!(many(7), many(8));
    }

    #[test]
    fn faults_come_one_after_the_other_within_the_load() {
        for cycle in many(1) {
            let mut free = MARGIN;
            for drawn in cycle {
                assert!(drawn.from >= free && drawn.to > drawn.from);
                free = drawn.to;
            }
            assert!(free + MARGIN <= Duration::from_secs(12));
        }
    }

    #[test]
    fn every_fault_has_its_turn() {
        let mut turns: BTreeMap<FaultId, usize> = BTreeMap::new();
        for drawn in many(1).iter().flatten() {
            *turns.entry(drawn.fault).or_default() += 1;
        }
        let (least, most) = (turns.values().min(), turns.values().max());
        assert_eq!(turns.len(), 3);
        assert!(most.unwrap() - least.unwrap() <= 1, "{turns:?}");
    }

    #[test]
    fn no_faults_are_no_trouble() {
        let mut urn = Urn::new(&[]);
        let mut random = StdRng::seed_from_u64(1);
        assert_eq!(urn.draw(Duration::from_secs(9), &mut random), []);
    }
}

//! Adjacencies held back though nothing else leads to the neighbour: they are let go early.
//!
//! Both ends ask the same of what they know, and links count only if both ends advertise them, so
//! that both let go of a link that joins two parts of the mesh.

use std::collections::BTreeSet;

use super::adjacency::{Adjacency, Input};
use super::authority::Authority;
use super::core::{Core, RUSH};
use super::time::Now;
use crate::identity::AgentId;
use crate::wire::LinkAdv;

impl<A: Authority> Core<A> {
    /// Lets go of every adjacency in its hold that is the only way to its neighbour.
    pub(super) fn release_sole_ways(&mut self, now: Now) {
        self.sole_ways_at = None;
        for neighbor in self.held() {
            if !self.is_reached_without_link(neighbor) {
                self.adjacency_input(now, neighbor, Input::SoleWay);
            }
        }
    }

    /// Plans that, if links elsewhere changed: a flood of changes costs one look.
    pub(super) fn plan_release(&mut self, now: Now) {
        if self.sole_ways_at.is_none() && self.out.is_topology_changed() && !self.held().is_empty()
        {
            self.sole_ways_at = Some(now.instant + RUSH);
        }
    }

    fn held(&self) -> Vec<AgentId> {
        let held = self.adjacencies.iter();
        let held = held.filter(|(_, adjacency)| adjacency.held_until().is_some());
        held.map(|(id, _)| *id).collect()
    }

    /// Whether a path of at most `max_hops` leads to `neighbor` that does not begin with the link
    /// to it.
    fn is_reached_without_link(&self, neighbor: AgentId) -> bool {
        let told = self.adjacencies.iter();
        let told = told.filter(|(id, adjacency)| **id != neighbor && Adjacency::is_told(adjacency));
        let mut reached = BTreeSet::from([self.settings.id]);
        let mut frontier: Vec<AgentId> = told
            .filter(|(id, _)| self.agrees(**id, self.settings.id))
            .map(|(id, _)| *id)
            .collect();
        for _ in 1..self.settings.max_hops {
            let mut next = Vec::new();
            for agent in frontier {
                let Some(adv) = self.link_adv(agent).filter(|_| reached.insert(agent)) else {
                    continue;
                };
                if adv.flags.no_transit {
                    continue;
                }
                let others = adv.neighbors.iter().map(|other| other.id);
                let others = others.filter(|other| !reached.contains(other));
                next.extend(others.filter(|other| self.agrees(*other, agent)));
            }
            if next.contains(&neighbor) {
                return true;
            }
            frontier = next;
        }
        false
    }

    /// Whether `agent` advertises a link with `other`.
    fn agrees(&self, agent: AgentId, other: AgentId) -> bool {
        let adv = self.link_adv(agent);
        // Ascending by id, by the bounds of advertisements.
        let found = |adv: &LinkAdv| {
            adv.neighbors
                .binary_search_by_key(&other, |neighbor| neighbor.id)
        };
        adv.is_some_and(|adv| found(adv).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::routing::testing::*;
    use crate::wire::{Advertisement, LinkAdv};

    fn say(bench: &mut Bench, from: u8, adv: LinkAdv) {
        bench.hear(from, flood([Advertisement::Link(adv)]));
    }

    /// Agent 1 linked with 2 and 3, which are linked with each other by way of 4.
    fn ring() -> Bench {
        let mut bench = pair();
        for (origin, neighbors) in [(2, [1, 4]), (3, [1, 4]), (4, [2, 3])] {
            let adv = links(&bench, origin, 1, &neighbors);
            say(&mut bench, 3, adv);
        }
        bench
    }

    fn is_told(bench: &Bench) -> bool {
        let own = bench.core.link_adv(id(1)).unwrap();
        own.neighbors.iter().any(|neighbor| neighbor.id == id(2))
    }

    /// Milliseconds from the link's return until it is told.
    fn wait(bench: &mut Bench) -> u64 {
        bench.up(2);
        (0..)
            .find(|_| {
                let told = is_told(bench);
                bench.pass(ms(1));
                told
            })
            .unwrap()
    }

    #[test]
    fn a_link_with_a_way_around_is_held_as_ever() {
        let mut bench = ring();
        for hold in [1_000, 2_000, 4_000] {
            bench.down(2);
            assert!(!is_told(&bench), "down is told at once");
            assert_eq!(wait(&mut bench), hold);
        }
    }

    #[test]
    fn the_only_way_is_told_at_once_and_then_once_a_second() {
        let mut bench = pair();
        let mut waits = Vec::new();
        for _ in 0..5 {
            bench.down(2);
            waits.push(wait(&mut bench));
        }
        assert!(waits[0] <= 100, "{waits:?}");
        assert_eq!(waits[1..], [1_000; 4]);
        // Forgiven like any other.
        bench.pass(Duration::from_secs(60 * 8));
        bench.down(2);
        assert!(wait(&mut bench) <= 100);
    }

    #[test]
    fn a_way_that_one_end_denies_or_that_leads_over_no_transit_is_none() {
        for change in [0, 1, 2] {
            let mut bench = ring();
            let adv = match change {
                0 => links(&bench, 4, 2, &[2]),
                1 => links(&bench, 3, 2, &[1]),
                _ => {
                    let mut adv = links(&bench, 4, 2, &[2, 3]);
                    adv.flags.no_transit = true;
                    adv
                }
            };
            say(&mut bench, 3, adv);
            bench.down(2);
            assert!(wait(&mut bench) <= 100, "{change}");
        }
    }

    #[test]
    fn a_way_that_is_longer_than_may_be_used_is_none() {
        for (max_hops, is_way) in [(3, true), (2, false)] {
            let mut bench = ring();
            bench.core.settings.max_hops = max_hops;
            bench.down(2);
            assert_eq!(wait(&mut bench) == 1_000, is_way, "{max_hops}");
        }
    }

    #[test]
    fn a_hold_ends_when_the_way_around_does() {
        // Our own other link goes down.
        let mut bench = ring();
        bench.down(2).up(2).pass(ms(300));
        assert!(!is_told(&bench));
        bench.down(3).pass(ms(100));
        assert!(is_told(&bench));
        // A link elsewhere does.
        let mut bench = ring();
        bench.down(2).up(2).pass(ms(300));
        let adv = links(&bench, 4, 2, &[2]);
        say(&mut bench, 3, adv);
        bench.pass(ms(200));
        assert!(is_told(&bench));
    }
}

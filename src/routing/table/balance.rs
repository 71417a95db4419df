//! Spreads new connections over exits of equal metric.

#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::config::Balance;
use crate::identity::AgentId;

use super::candidate::Candidate;

/// Most prefixes and domains whose turns are remembered. At the limit all are forgotten, which
/// costs no more than an exit chosen twice in a row.
pub const MAX_TURNS: usize = 4_096;

/// `routing.balance` at work.
#[derive(Debug)]
pub struct Balancer {
    balance: Balance,
    /// Connections so far by prefix or domain.
    turns: BTreeMap<(Option<IpNet>, Option<String>), usize>,
}

impl Balancer {
    /// No connection has been placed yet.
    pub fn new(balance: Balance) -> Self {
        Self {
            balance,
            turns: BTreeMap::new(),
        }
    }

    /// Spreads otherwise from now on.
    pub fn set(&mut self, balance: Balance) {
        self.balance = balance;
    }

    /// Reorders the candidates that equal the first in standing and metric for one new connection;
    /// the others keep their places. `open_streams` tells how many streams an exit carries for us.
    pub fn reorder(
        &mut self,
        candidates: &mut [Candidate],
        open_streams: impl Fn(AgentId) -> usize,
    ) {
        let Some(first) = candidates.first() else {
            return;
        };
        let equals = candidates.partition_point(|other| other.equals_in_metric(first));
        if equals < 2 {
            return;
        }
        match self.balance {
            Balance::LowestMetric => {}
            Balance::RoundRobin => {
                let turn = self.turn(first);
                candidates[..equals].rotate_left(turn % equals);
            }
            Balance::LeastStreams => {
                candidates[..equals].sort_by_key(|candidate| open_streams(candidate.exit));
            }
        }
    }

    fn turn(&mut self, candidate: &Candidate) -> usize {
        let key = (candidate.prefix, candidate.domain.clone());
        if self.turns.len() >= MAX_TURNS && !self.turns.contains_key(&key) {
            self.turns.clear();
        }
        let turns = self.turns.entry(key).or_default();
        let turn = *turns;
        *turns = turn.wrapping_add(1);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::fixture::agent;
    use crate::routing::paths::path::Standing;

    fn candidate(number: u32, metric: u32, prefix: &str) -> Candidate {
        Candidate {
            exit: agent(number),
            prefix: Some(prefix.parse().unwrap()),
            domain: None,
            metric,
            path: None,
            standing: Standing::Sound,
        }
    }

    fn exits(balancer: &mut Balancer, prefix: &str) -> Vec<AgentId> {
        let mut candidates = [(1, 2), (2, 2), (3, 2), (4, 3)]
            .map(|(number, metric)| candidate(number, metric, prefix))
            .to_vec();
        let streams = |exit| usize::from(exit != agent(3)) + usize::from(exit == agent(1));
        balancer.reorder(&mut candidates, streams);
        candidates.iter().map(|c| c.exit).collect()
    }

    #[test]
    fn lowest_metric_keeps_the_order() {
        let mut balancer = Balancer::new(Balance::LowestMetric);
        for _ in 0..3 {
            assert_eq!(exits(&mut balancer, "10.0.0.0/8"), [1, 2, 3, 4].map(agent));
        }
    }

    #[test]
    fn round_robin_turns_per_prefix_and_leaves_dearer_exits_last() {
        let mut balancer = Balancer::new(Balance::RoundRobin);
        assert_eq!(exits(&mut balancer, "10.0.0.0/8"), [1, 2, 3, 4].map(agent));
        assert_eq!(exits(&mut balancer, "10.0.0.0/8"), [2, 3, 1, 4].map(agent));
        assert_eq!(exits(&mut balancer, "11.0.0.0/8"), [1, 2, 3, 4].map(agent));
        assert_eq!(exits(&mut balancer, "10.0.0.0/8"), [3, 1, 2, 4].map(agent));
        assert_eq!(exits(&mut balancer, "10.0.0.0/8"), [1, 2, 3, 4].map(agent));
    }

    #[test]
    fn least_streams_prefers_the_emptiest_of_equal_exits() {
        let mut balancer = Balancer::new(Balance::LeastStreams);
        assert_eq!(exits(&mut balancer, "10.0.0.0/8"), [3, 2, 1, 4].map(agent));
    }

    #[test]
    fn a_full_memory_of_turns_starts_over() {
        let mut balancer = Balancer::new(Balance::RoundRobin);
        for number in 0..MAX_TURNS + 1 {
            let prefix = format!("10.{}.{}.0/24", number / 256, number % 256);
            exits(&mut balancer, &prefix);
        }
        assert_eq!(balancer.turns.len(), 1);
    }
}

//! The pure part of a relay: rules, then one pipe for each direction.

use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Counters, Pipe};
use crate::condition::Condition;
use crate::impairment::Impairment;
use crate::packet::{Direction, Packet, Ways};
use crate::rules::{Rules, Stage};

/// What becomes of packets between a client and a server.
#[derive(Debug)]
pub struct Core {
    pub rules: Rules,
    stage: Stage,
    to_server: Pipe,
    to_client: Pipe,
}

impl Core {
    pub fn new(now: Instant, condition: &Condition, seed: u64) -> Self {
        // One sequence for each part, so that none depends on what the others drew.
        let mut seeds = StdRng::seed_from_u64(seed);
        Self {
            rules: Rules::new(seeds.random()),
            stage: Stage::default(),
            to_server: Pipe::new(now, condition.to_server, seeds.random()),
            to_client: Pipe::new(now, condition.to_client, seeds.random()),
        }
    }

    /// What a direction does now.
    pub fn impairment(&self, direction: Direction) -> Impairment {
        match direction {
            Direction::ToServer => self.to_server.impairment(),
            Direction::ToClient => self.to_client.impairment(),
        }
    }

    /// Changes what some directions do.
    pub fn handle_impairment(&mut self, now: Instant, ways: Ways, impairment: Impairment) {
        for direction in Direction::ALL {
            if ways.covers(direction) {
                self.pipe(direction).handle_impairment(now, impairment);
            }
        }
    }

    pub fn handle_packet(&mut self, now: Instant, direction: Direction, packet: Packet) {
        self.stage
            .handle_packet(now, &mut self.rules, direction, packet);
        self.enter_pipes(now);
    }

    /// The next packet to send.
    pub fn poll_packet(&mut self, now: Instant) -> Option<(Direction, Packet)> {
        self.enter_pipes(now);
        Direction::ALL.into_iter().find_map(|direction| {
            let packet = self.pipe(direction).poll_packet(now)?;
            Some((direction, packet))
        })
    }

    /// When to ask for the next packet.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let pipes = [&self.to_server, &self.to_client].map(Pipe::poll_timeout);
        let stage = self.stage.poll_timeout();
        pipes.into_iter().flatten().chain(stage).min()
    }

    /// Without what only sockets know.
    pub fn counters(&self) -> Counters {
        Counters {
            rules: self.stage.counters(),
            to_server: self.to_server.counters(),
            to_client: self.to_client.counters(),
            ..Counters::default()
        }
    }

    fn enter_pipes(&mut self, now: Instant) {
        while let Some((direction, packet)) = self.stage.poll_packet(now) {
            self.pipe(direction).handle_packet(now, packet);
        }
    }

    fn pipe(&mut self, direction: Direction) -> &mut Pipe {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

//! What had a route lately: a destination whose last exit was lost a moment ago may have one again in
//! a moment, and a request for it is worth holding.
//!
//! Losses are remembered and not former tables: a table of 100,000 prefixes that is replaced ten times
//! a second would be held a hundred times.

#![deny(clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::identity::AgentId;

use super::losses::{Losses, is_lately, patterns};
use super::owned::Owned;
use super::prefix::ExitRecord;
use super::route::RouteTable;

/// Most lost exits remembered; of further ones nobody waits for a name. There are seldom more in a mesh.
const MAX_EXITS: usize = 4_096;

/// What was lost within [`LATELY`](super::losses::LATELY), and which names were somebody's until a while ago.
#[derive(Debug)]
pub struct Lately {
    /// Most losses remembered, and most withdrawn names; of more, the oldest of whoever has the most are
    /// forgotten first.
    limit: usize,
    /// Destinations without an exit.
    losses: Losses,
    /// What exits do not advertise any more.
    owned: Owned,
    /// When each exit was last lost, what it was, and whether it is our own.
    exits: BTreeMap<AgentId, (Instant, ExitRecord, bool)>,
}

impl Lately {
    /// Nothing was lost yet.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            losses: Losses::default(),
            owned: Owned::default(),
            exits: BTreeMap::new(),
        }
    }

    /// `after` takes the place of `before`.
    pub fn handle_change(&mut self, now: Instant, before: &RouteTable, after: &RouteTable) {
        self.losses.forget(now);
        after.lost_of(before, |destination, exits| {
            self.losses.note(now, destination, exits, self.limit);
        });
        let (had, has) = (before.prefix_table(), after.prefix_table());
        if !Arc::ptr_eq(had, has) {
            self.owned.handle_change(now, had, has, self.limit);
        }
        self.exits.retain(|_, (lost, ..)| is_lately(now, *lost));
        after.lost_exits_of(before, |exit| {
            if self.exits.len() < MAX_EXITS || self.exits.contains_key(&exit.id) {
                let is_own = exit.id == before.own();
                self.exits.insert(exit.id, (now, exit.clone(), is_own));
            }
        });
    }

    /// Whether a prefix that contains `ip` was lost lately.
    pub fn had_ip(&self, now: Instant, ip: IpAddr) -> bool {
        self.losses.had_ip(now, ip)
    }

    /// Whether a domain that covers `name` was lost lately.
    pub fn had_domain(&self, now: Instant, name: &str) -> bool {
        self.losses.had_domain(now, name)
    }

    /// Whether somebody advertised a domain that covers `name` until a while ago.
    pub fn owned_domain(&self, now: Instant, name: &str) -> bool {
        !self.owned.is_empty() && patterns(name).any(|pattern| self.owned.holds(now, &pattern))
    }

    /// Whether an exit was lost lately that would be asked for the address of `name`: one that is
    /// `named`, or without names one whose certificate lets it resolve the name.
    pub fn had_resolver(&self, now: Instant, name: &str, named: &[AgentId]) -> bool {
        let mut exits = self.exits.values();
        exits.any(|(lost, exit, is_own)| {
            is_lately(now, *lost) && exit.is_asked(*is_own, name, named)
        })
    }
}

#[cfg(test)]
mod tests;

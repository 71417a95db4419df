//! The mesh as of one moment: what the control task publishes and everybody else reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::identity::{AgentId, ShortId};
use crate::routing::paths::avoid::Avoid;
use crate::routing::paths::graph::Graph;
use crate::routing::paths::path_table::PathTable;
use crate::routing::table::prefix::PrefixTable;
use crate::routing::table::route::RouteTable;

/// An immutable view of the mesh.
#[derive(Debug)]
pub struct Mesh {
    pub table: RouteTable,
    /// Which process of each origin advertises.
    pub incarnations: BTreeMap<AgentId, u64>,
    /// Neighbours whose links are suspect, silent and not given up yet, and when each was last heard as
    /// far as packets tell.
    pub suspects: BTreeMap<AgentId, Option<Instant>>,
    /// Another process has this agent's key.
    pub duplicate_identity: bool,
}

impl Mesh {
    /// What `own` sees before it has heard of anybody.
    pub fn empty(own: AgentId, max_hops: u8) -> Self {
        let graph = Arc::new(Graph::build(own, std::iter::empty()));
        Self::of(PathTable::build(graph, max_hops, Avoid::default()))
    }

    /// One without routes, in which every link is heard.
    pub fn of(paths: PathTable) -> Self {
        let prefixes = Arc::new(PrefixTable::build(std::iter::empty()));
        Self {
            table: RouteTable::new(prefixes, Arc::new(paths)),
            incarnations: BTreeMap::new(),
            suspects: BTreeMap::new(),
            duplicate_identity: false,
        }
    }

    /// Every path there is.
    pub fn path_table(&self) -> &PathTable {
        self.table.path_table()
    }

    /// Names the process that advertises as `origin`: another one means that it restarted.
    pub fn incarnation(&self, origin: AgentId) -> Option<u64> {
        self.incarnations.get(&origin).copied()
    }

    /// Whether the link with `neighbor` is suspect.
    pub fn is_suspect(&self, neighbor: ShortId) -> bool {
        self.suspect(neighbor).is_some()
    }

    /// When the suspect link with `neighbor` was last heard; `None`: it is not suspect, or never was
    /// heard.
    pub fn last_heard(&self, neighbor: ShortId) -> Option<Instant> {
        *self.suspect(neighbor)?
    }

    fn suspect(&self, neighbor: ShortId) -> Option<&Option<Instant>> {
        let mut from = self.suspects.range(neighbor.least()..);
        let (id, heard) = from.next()?;
        (id.short() == neighbor).then_some(heard)
    }

    /// The agents that headers name so; without those that are not known any more.
    pub fn named(&self, hops: &[ShortId]) -> Vec<AgentId> {
        let graph = self.path_table().graph();
        hops.iter().filter_map(|hop| graph.named(*hop)).collect()
    }
}

//! An explicit path through the mesh.

use std::fmt;
use std::time::Duration;

use crate::identity::AgentId;

/// A loop-free way to an exit. Never contains the agent that uses it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Each hop in order, the exit last. 1 to 15 of them.
    pub hops: Vec<AgentId>,
    /// Sum of link costs.
    pub cost: u32,
    /// Sum of the links' round-trip classes, microseconds.
    pub rtt_us: u64,
    /// Smallest known link MTU on the way (UDP payload bytes); 0 if none is known.
    pub mtu: u16,
}

/// How far a way to an exit can be relied on. The greater is the worse, and a worse one is used
/// only where no better one exists, whatever it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Nothing speaks against it.
    Sound,
    /// Leads over or to an agent that is leaving.
    Draining,
    /// Leads over a link or agent that we were told to avoid.
    Suspect,
}

/// The two ways to one exit that a session keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSet {
    pub best: Path,
    /// The way that shares least with `best`; `None` if there is no second way.
    pub alternate: Option<Path>,
}

impl Path {
    /// These hops, with nothing known of them.
    pub fn along(hops: Vec<AgentId>) -> Self {
        Self {
            hops,
            cost: 0,
            rtt_us: 0,
            mtu: 0,
        }
    }

    /// The exit.
    pub fn exit(&self) -> AgentId {
        *self.hops.last().expect("a path has at least one hop")
    }

    /// Round trip, as far as the links' classes tell it.
    pub fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt_us)
    }

    /// The neighbour that the path leaves through.
    pub fn first_hop(&self) -> AgentId {
        *self.hops.first().expect("a path has at least one hop")
    }
}

impl fmt::Display for Path {
    /// The hops' short ids, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, hop) in self.hops.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}", hop.short())?;
        }
        Ok(())
    }
}

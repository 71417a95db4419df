//! What path control wants done.

use super::probe::Flags;
use crate::identity::ShortId;
use crate::record::Failover;
use crate::routing::{Avoid, Path, SwitchCause};

/// One thing to do. They are done in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send along that way from now on, and a copy along the mirror.
    Route { active: Way, mirror: Option<Way> },
    /// Send a probe whose payload has `size` bytes along `hops`; as few as will do, if that is less.
    Probe {
        hops: Vec<ShortId>,
        sequence: u64,
        flags: Flags,
        size: usize,
    },
    /// Packets take another path: what congestion control learnt is of the old one.
    Moved,
    /// Make the session send at once, whatever its window is.
    Kick,
    /// The room that a kick made in the window is not needed any more.
    TakeRoom,
    /// What left so far waits for no answer any more.
    Forgive,
    /// Paths should keep away from that for a while.
    Blame(Avoid),
    /// From here on the longest gap between two arrivals counts.
    WatchGap,
    /// Remember a failover.
    Record(Failover),
    /// The failover that was recorded last is over: it stalled for the longest gap.
    Settled,
    /// Tell people.
    Tell(News),
    /// End the session.
    Close(&'static str),
}

/// A path as packets take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Each hop in order, the other end last.
    pub(crate) hops: Vec<ShortId>,
    /// The UDP payload that passes it as far as is known, bytes; 0: any.
    pub(crate) width: u16,
}

impl Way {
    /// That path, with the width that it has as far as is known.
    pub(crate) fn of(path: &Path, width: u16) -> Self {
        Self {
            hops: path.hops.iter().map(|hop| hop.short()).collect(),
            width,
        }
    }
}

/// What people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The path is doubted.
    Doubted { why: &'static str },
    /// The path is sound again.
    Cleared,
    /// The other end doubted for longer than it is heeded.
    Overdrawn,
    /// The session has no path.
    Lost { cause: SwitchCause, from: Path },
    /// The active path passes packets only in halves.
    Narrow(Path),
    /// And passes whole ones again.
    Wide,
    /// The backup answers no probe.
    BackupSilent(Path),
}

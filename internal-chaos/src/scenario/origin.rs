//! Who connected to the target: an exit, or somebody who went past the mesh.
//!
//! On loopback all addresses look alike, so the kernel is asked who has the other end: its socket's
//! inode, and whose `/proc/PID/fd` has that.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use procfs::process::{FDTarget, Process};
use serde::Serialize;

use super::diag::Diag;

/// Leaks of which the names are kept.
const MOST_NAMES: usize = 20;

/// An agent as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct Suspect {
    pub(super) name: String,
    pub(super) is_exit: bool,
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Origins {
    /// Connections that an exit made.
    pub exits: u64,
    /// Whose other end was gone, or belongs to no agent.
    pub unknown: u64,
    /// Agents that are no exits and connected to the target.
    pub leaks: Vec<String>,
}

/// Looks at every connection that reaches the target.
#[derive(Clone, Debug)]
pub(super) struct Watchman {
    diag: Arc<Mutex<Diag>>,
    agents: Arc<Mutex<BTreeMap<u32, Suspect>>>,
    found: Arc<Mutex<Origins>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicked thread left is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watchman {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            diag: Arc::new(Mutex::new(Diag::open()?)),
            agents: Arc::default(),
            found: Arc::default(),
        })
    }

    /// Makes an agent's process known.
    pub(super) fn introduce(&self, pid: u32, suspect: Suspect) {
        lock(&self.agents).insert(pid, suspect);
    }

    /// Looks at a connection while it is open: `peer` is the other end, `own` ours.
    pub(super) fn look(&self, peer: SocketAddr, own: SocketAddr) {
        let inode = lock(&self.diag).inode(peer, own);
        let owner = inode.and_then(|inode| self.owner(inode));
        let mut found = lock(&self.found);
        match owner {
            Some(suspect) if suspect.is_exit => found.exits += 1,
            Some(suspect) if found.leaks.len() < MOST_NAMES => found.leaks.push(suspect.name),
            Some(_) => {}
            None => found.unknown += 1,
        }
    }

    pub(super) fn found(&self) -> Origins {
        lock(&self.found).clone()
    }

    /// Exits first: it is one of them unless something is wrong.
    fn owner(&self, inode: u64) -> Option<Suspect> {
        let mut agents: Vec<(u32, Suspect)> = lock(&self.agents)
            .iter()
            .map(|(pid, suspect)| (*pid, suspect.clone()))
            .collect();
        agents.sort_by_key(|(_, suspect)| !suspect.is_exit);
        let owns = |pid: u32| {
            let process = Process::new(pid.cast_signed());
            let open = process.and_then(|process| process.fd());
            let mut open = open.into_iter().flatten().flatten();
            open.any(|info| matches!(info.target, FDTarget::Socket(it) if it == inode))
        };
        let found = agents.into_iter().find(|(pid, _)| owns(*pid));
        found.map(|(_, suspect)| suspect)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A connection of this very process, looked at as if the process were some agent.
    fn look_at_ourselves(suspect: Option<Suspect>) -> Origins {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        let watchman = Watchman::new().unwrap();
        if let Some(suspect) = suspect {
            watchman.introduce(std::process::id(), suspect);
        }
        watchman.look(peer, server.local_addr().unwrap());
        drop(client);
        watchman.found()
    }

    fn suspect(is_exit: bool) -> Suspect {
        Suspect {
            name: "someone".to_owned(),
            is_exit,
        }
    }

    #[test]
    fn an_exit_may_connect() {
        let found = look_at_ourselves(Some(suspect(true)));
        assert_eq!((found.exits, found.leaks.len(), found.unknown), (1, 0, 0));
    }

    #[test]
    fn anybody_else_is_a_leak() {
        let found = look_at_ourselves(Some(suspect(false)));
        assert_eq!(found.leaks, ["someone"]);
    }

    #[test]
    fn strangers_are_unknown() {
        assert_eq!(look_at_ourselves(None).unknown, 1);
    }
}

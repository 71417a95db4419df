//! Accepted links between handshake and hello.
//!
//! Handshakes under way are few, because strangers start them. A neighbour that has proved who it
//! is gives its handshake slot back and waits here, where it can hold up itself alone: each may
//! have so many links in greeting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::identity::AgentId;

/// Greetings of one neighbour at a time: one it gave up that has not timed out here, one of a
/// restart, and one more.
const EACH: usize = 3;

/// Greetings of everybody at a time. A greeting holds a connection with its buffers.
const ALL: usize = 256;

/// Who is being greeted on a port. Cloning shares it.
#[derive(Clone, Default)]
pub(super) struct Greetings {
    count: Arc<Mutex<BTreeMap<AgentId, usize>>>,
}

/// Room for one greeting; given back when dropped.
pub(super) struct Room {
    greetings: Greetings,
    neighbor: AgentId,
}

impl Greetings {
    /// Room to greet `neighbor`, if there is any.
    pub(super) fn enter(&self, neighbor: AgentId) -> Option<Room> {
        let mut count = self.lock();
        let own = count.get(&neighbor).copied().unwrap_or(0);
        if own >= EACH || count.values().sum::<usize>() >= ALL {
            return None;
        }
        count.insert(neighbor, own + 1);
        Some(Room {
            greetings: self.clone(),
            neighbor,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<AgentId, usize>> {
        self.count.lock().expect("no panic while locked")
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut count = self.greetings.lock();
        match count.get_mut(&self.neighbor) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                count.remove(&self.neighbor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(number: u16) -> AgentId {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        AgentId(id)
    }

    #[test]
    fn a_slow_neighbour_holds_up_itself_alone() {
        let greetings = Greetings::default();
        let mut slow: Vec<Room> = (0..EACH)
            .map(|_| greetings.enter(agent(1)).expect("there is room"))
            .collect();
        assert!(greetings.enter(agent(1)).is_none());
        assert!(greetings.enter(agent(2)).is_some());
        slow.pop();
        assert!(greetings.enter(agent(1)).is_some());
        slow.clear();
        assert!(greetings.lock().is_empty(), "nothing is kept of the gone");
    }

    #[test]
    fn all_together_are_bounded() {
        let greetings = Greetings::default();
        let rooms: Vec<Room> = (0..1_000)
            .filter_map(|number| greetings.enter(agent(number)))
            .collect();
        assert_eq!(rooms.len(), ALL);
    }
}

//! A link's voice towards the control task: only the link that is kept with a neighbour is heard.
//!
//! Two drivers race when a link replaces another. Every event is queued under the lock of [`Links`]
//! and only while its link is the one kept, so that the queue holds a neighbour's links one after
//! the other: nothing of the old one follows the `Up` of the new one, and no old `Up` follows
//! anything.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::event::LinkEvent;
use super::table::{LinkNumber, Links};
use crate::identity::AgentId;

/// What one link tells the control task.
pub(super) struct Voice {
    pub(super) links: Arc<Links>,
    pub(super) events: mpsc::Sender<LinkEvent>,
    pub(super) neighbor: AgentId,
    pub(super) number: LinkNumber,
}

impl Voice {
    /// Queues `event` unless another link has replaced this one; waits for room first. Cancel safe.
    pub(super) async fn say(&self, event: LinkEvent) {
        // The control task ends only with the agent.
        let Ok(room) = self.events.reserve().await else {
            return;
        };
        self.links
            .while_kept(self.neighbor, self.number, || room.send(event));
    }

    /// Takes the link out and queues `event` as its last; `false` if another link has replaced it,
    /// so that nothing went down.
    pub(super) async fn end(&self, why: &str, event: LinkEvent) -> bool {
        let room = self.events.reserve().await.ok();
        self.links.remove(self.neighbor, self.number, why, || {
            if let Some(room) = room {
                room.send(event);
            }
        })
    }
}

#[cfg(test)]
mod tests;

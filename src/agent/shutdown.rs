//! Ends an agent in order.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tracing::info;

use super::Agent;
use super::control::Command;
use crate::clock;
use crate::link::LinkEndpoint;

/// What leaving may take: SIGTERM promises an end within 2 s.
const LEAVE: Duration = Duration::from_millis(1_200);

/// What the last words on the links get of that, however long the rest took.
const FAREWELL: Duration = Duration::from_millis(300);

/// What the ends of the sessions get to leave; they are small and sent at once.
const LAST_PACKETS: Duration = Duration::from_millis(50);

impl Agent {
    /// Leaves the mesh: withdraws its advertisements, says goodbye to the neighbours so that
    /// traffic moves at once, and ends. Takes at most 1.5 s.
    pub async fn shutdown(self) {
        let started = clock::now();
        // Sessions first: their last packets need the links.
        if let Some(sessions) = &self.shared.tunnel.sessions {
            sessions.close("agent stops");
        }
        if let Some(listener) = &self.shared.tunnel.listener {
            listener.close("agent stops");
        }
        sleep(LAST_PACKETS).await;
        let (done, left) = oneshot::channel();
        let leave = Command::Leave {
            reason: "agent stops".to_owned(),
            done,
        };
        if self.commands.send(leave).await.is_ok() {
            let _ = timeout(LEAVE, left).await;
        }
        // Drivers flush their last messages and close; an endpoint is idle when all have.
        let closing = self.endpoints.iter().map(LinkEndpoint::wait_idle);
        let rest = LEAVE.saturating_sub(clock::since(started)).max(FAREWELL);
        let _ = timeout(rest, futures_util::future::join_all(closing)).await;
        info!(took = ?clock::since(started), "agent stopped");
    }
}

//! The task of an accepted session: waits, feeds its [`ExitPath`], and does what that wants done.
//!
//! Aborting the task leaves the session on its path until it idles out.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use super::hands::{Established, Hands};
use crate::clock;
use crate::routing::Mesh;
use crate::tunnel::path::{Asked, ExitPath, SMALLEST, Way};

/// Follows a session until it ends; returns why it did.
pub(super) async fn follow(session: Arc<Established>, mut asked: mpsc::Receiver<Asked>) -> String {
    // The first probe tells the path; until then answers take the handshake's. The backup's may be
    // here before it, and the next one is far off.
    let mut backup = None;
    let first = loop {
        tokio::select! {
            reason = session.connection.closed() => return reason.to_string(),
            asked = asked.recv() => match asked {
                Some(asked) if asked.probe.flags.active => break asked,
                Some(asked) => backup = Some(asked),
                None => return "no longer probed".to_owned(),
            },
        }
    };
    let mut task = Task::new(session, first, asked);
    if let Some(backup) = backup {
        let now = task.listen();
        task.path.handle_asked(now, backup);
    }
    task.run().await
}

struct Task {
    hands: Hands,
    path: ExitPath,
    view: watch::Receiver<Arc<Mesh>>,
    asked: mpsc::Receiver<Asked>,
}

impl Task {
    fn new(session: Arc<Established>, first: Asked, asked: mpsc::Receiver<Asked>) -> Self {
        let way = Way {
            hops: first.back.clone(),
            width: SMALLEST,
        };
        session.route(&way, None);
        let (view, timing) = (session.context.view.clone(), session.context.timing);
        let current = view.borrow().clone();
        Self {
            path: ExitPath::new(clock::now(), session.peer, first, timing, current),
            hands: Hands::new(session),
            view,
            asked,
        }
    }

    async fn run(&mut self) -> String {
        self.listen();
        loop {
            let wake = self.path.poll_timeout(clock::now());
            let flow = self.hands.flow.clone();
            tokio::select! {
                reason = self.hands.session.connection.closed() => return reason.to_string(),
                Some(asked) = self.asked.recv() => {
                    let now = self.listen();
                    self.path.handle_asked(now, asked);
                }
                changed = self.view.changed() => {
                    if changed.is_err() {
                        return "the agent stops".to_owned();
                    }
                    self.handle_view();
                }
                () = flow.unanswered() => drop(self.listen()),
                () = sleep_until(wake.into()) => drop(self.listen()),
            }
            self.path.handle_tick(clock::now());
            if let Some(reason) = self.hands.flush(|| self.path.poll_output()) {
                return reason;
            }
        }
    }

    /// Hands over what packets tell, as before every input; returns when that was.
    fn listen(&mut self) -> Instant {
        self.path.handle_traffic(self.hands.traffic());
        clock::now()
    }

    fn handle_view(&mut self) {
        let now = self.listen();
        let view = self.view.borrow_and_update().clone();
        self.path.handle_view(now, view, self.hands.has_link());
    }
}

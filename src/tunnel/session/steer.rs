//! The task of an opened session: waits, feeds its [`IngressPath`], and does what that wants done.
//!
//! Aborting the task leaves the session on its path until it idles out.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::sleep_until;

use super::hands::{Established, Hands};
use crate::clock;
use crate::identity::AgentId;
use crate::routing::Mesh;
use crate::tunnel::path::{Answer, IngressPath, SessionInfo};
use crate::wire::PathError;

/// Steers a session that was opened with the process `incarnation` of its exit and has packets of so
/// many bytes, until it ends; then `forget`s it.
pub(super) async fn steer(
    session: Established,
    (incarnation, packet): (Option<u64>, u16),
    info: watch::Sender<SessionInfo>,
    forget: impl FnOnce(),
) {
    let session = Arc::new(session);
    let (context, now) = (&session.context, clock::now());
    let view = context.view.clone();
    let current = view.borrow().clone();
    let (exit, timing) = (session.peer, context.timing);
    let mut task = Task {
        answers: (context.prober).register_opened(session.key.clone(), exit.short()),
        errors: context.path_errors.subscribe(),
        path: IngressPath::new(now, (exit, incarnation), packet, timing, current),
        hands: Hands::new(session.clone()),
        view,
        info,
    };
    session.attend(task.run(), forget).await;
}

struct Task {
    hands: Hands,
    path: IngressPath,
    view: watch::Receiver<Arc<Mesh>>,
    errors: broadcast::Receiver<(AgentId, PathError)>,
    answers: mpsc::Receiver<Answer>,
    info: watch::Sender<SessionInfo>,
}

impl Task {
    async fn run(&mut self) -> String {
        // Before anything is due: a turn that knows no path puts the first probes off by a second.
        self.handle_view();
        loop {
            self.path.handle_tick(clock::now());
            if let Some(reason) = self.hands.flush(|| self.path.poll_output()) {
                return reason;
            }
            self.publish();
            let wake = self.path.poll_timeout();
            let flow = self.hands.flow.clone();
            tokio::select! {
                reason = self.hands.session.connection.closed() => return reason.to_string(),
                changed = self.view.changed() => {
                    if changed.is_err() {
                        return "the agent stops".to_owned();
                    }
                    self.handle_view();
                }
                error = self.errors.recv() => {
                    let now = self.listen();
                    // Lagging loses errors that the next packets cause again.
                    if let Ok((from, error)) = error {
                        self.path.handle_path_error(now, from, &error);
                    }
                }
                Some(answer) = self.answers.recv() => {
                    let now = self.listen();
                    self.path.handle_answer(now, &answer);
                }
                () = flow.unanswered() => drop(self.listen()),
                () = sleep_until(wake.into()) => drop(self.listen()),
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

    fn publish(&self) {
        if let Some(new) = self.path.info() {
            self.info.send_if_modified(|info| {
                let changed = *info != new;
                *info = new;
                changed
            });
        }
    }
}

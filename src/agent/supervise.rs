//! Tells whoever supervises the process what becomes of the agent: a service manager and, by a file,
//! anybody.
//!
//! ```text
//!  mesh, links, phase ──► readiness ──► READY=1, STATUS=…, --ready-file
//!  control task ──(answers)───────────► WATCHDOG=1
//! ```
//!
//! One task, which ends with the agent and may be aborted at any time.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::control::Command;
use super::lifecycle::Phase;
use super::notify::Notifier;
use super::own_file::OwnFile;
use super::readiness::Means;
use super::request::Desk;
use super::setup::Shared;
use crate::cli::ReadyWhen;

/// Between two looks at what nothing else tells of: counts for the status.
const LOOK: Duration = Duration::from_secs(1);

/// The manager hears of the agent so many times in the time that it allows.
const FEEDS: u32 = 3;

pub(super) struct Supervision {
    pub(super) notifier: Notifier,
    pub(super) ready_file: Option<OwnFile>,
    pub(super) ready_when: ReadyWhen,
    /// How often the manager wants to hear of the agent.
    pub(super) watchdog: Option<Duration>,
}

impl Supervision {
    /// Runs for as long as the agent.
    pub(super) async fn run(mut self, shared: Shared, desk: Desk, commands: mpsc::Sender<Command>) {
        let notifier = self.notifier.clone();
        let feed = feed(notifier, self.watchdog, commands);
        let follow = async {
            let mut mesh = shared.mesh.clone();
            let mut phase = desk.life.subscribe();
            let mut looks = interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut told = String::new();
            loop {
                let means = Means::of(&desk, &shared, &mesh.borrow_and_update());
                self.tell(&desk, means, shared.streams.count(), &mut told);
                tokio::select! {
                    _ = looks.tick() => {}
                    // Errors: the agent is about to end.
                    changed = mesh.changed() => if changed.is_err() { return },
                    changed = phase.changed() => if changed.is_err() { return },
                }
            }
        };
        tokio::join!(feed, follow);
    }

    fn tell(&mut self, desk: &Desk, means: Means, streams: usize, told: &mut String) {
        let is_ready = match (desk.life.phase(), self.ready_when) {
            (Phase::Starting | Phase::Stopping, _) => false,
            (Phase::Running | Phase::Draining, ReadyWhen::Started) => true,
            (Phase::Running | Phase::Draining, ReadyWhen::Traffic) => means.obstacles().is_empty(),
        };
        if is_ready {
            self.notifier.ready();
        }
        if let Some(file) = &mut self.ready_file {
            let done = match is_ready {
                true => file.put(),
                false => file.take(),
            };
            if let Err(error) = done {
                warn!(%error, is_ready, "--ready-file does not say so");
            }
        }
        let status = status(means, streams);
        if *told != status {
            self.notifier.status(&status);
            *told = status;
        }
    }
}

/// Says that the agent is alive as often as is wanted, each time that the control task answers: it is the
/// one without which nothing moves, on the runtime that moves everything.
async fn feed(notifier: Notifier, wanted: Option<Duration>, commands: mpsc::Sender<Command>) {
    let Some(wanted) = wanted.filter(|_| notifier.is_on()) else {
        return;
    };
    let mut feeds = interval(wanted / FEEDS);
    feeds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        feeds.tick().await;
        let (answer, answered) = oneshot::channel();
        if commands.send(Command::Answer(answer)).await.is_err() || answered.await.is_err() {
            return;
        }
        notifier.alive();
    }
}

/// One line for people.
fn status(means: Means, streams: usize) -> String {
    if means.leaving {
        return format!("draining: {streams} connections left");
    }
    match means.obstacles().as_slice() {
        [] => format!(
            "carries traffic: {} links, {} routes, {streams} connections",
            means.links, means.routes
        ),
        obstacles => format!("cannot carry traffic: {}", obstacles.join("; ")),
    }
}

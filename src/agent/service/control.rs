//! The control plane as a service: the task that owns the routing core, and the watch for standstills.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::super::control::{Command, Control};
use super::super::parts::Parts;
use super::super::prefixes::PrefixBuilder;
use super::super::setup::{ControlEnds, Shared, core};
use crate::clock;
use crate::link::LinkEvent;
use crate::task::{Running, Starter};

/// Link events that the control task has not looked at yet; drivers wait when it is full.
const EVENTS: usize = 1_024;

/// Requests to the control task.
const COMMANDS: usize = 16;

pub(super) struct ControlService {
    commands: mpsc::Sender<Command>,
    _tasks: [Running; 2],
}

impl ControlService {
    /// Starts it, and returns where links report to.
    pub(super) fn start(
        parts: &Parts,
        shared: &Shared,
        ends: ControlEnds,
        starter: &Starter,
    ) -> (Self, mpsc::Sender<LinkEvent>) {
        let config = &parts.config;
        let (event_sender, events) = mpsc::channel(EVENTS);
        let (commands, requested) = mpsc::channel(COMMANDS);
        let control = Control {
            own: parts.id(),
            core: core(parts),
            links: shared.links.clone(),
            standstill: shared.standstill.clone(),
            fib: shared.fib.clone(),
            max_hops: config.routing.max_hops,
            events,
            log: shared.events.clone(),
            reports: ends.reports,
            commands: requested,
            path_errors: shared.tunnel.path_errors.clone(),
            mesh: ends.mesh,
            counters: shared.counters.clone(),
            lately: config.socks5.as_ref().map(|_| shared.lately.clone()),
            data_dir: parts.keeps_epoch.then(|| config.agent.data_dir.clone()),
            load: config.exit.as_ref().map(|_| shared.streams.clone()),
            suspects: Default::default(),
            failed_paths: ends.failed_paths,
            shunned: Default::default(),
            topology_changed: true,
            prefixes: PrefixBuilder::new(clock::now()),
        };
        let standstill = Arc::clone(&shared.standstill);
        let tasks = [
            starter.start("standstill", standstill.watch()),
            starter.start("control", control.run()),
        ];
        let service = Self {
            commands,
            _tasks: tasks,
        };
        (service, event_sender)
    }

    /// Requests to the control task go in here.
    pub(super) fn commands(&self) -> &mpsc::Sender<Command> {
        &self.commands
    }

    /// Judges anew what certificates prove.
    pub(super) async fn trust_changed(&self) {
        // As below.
        let _ = self.commands.send(Command::TrustChanged).await;
    }

    /// Asks others to prefer any other way, or not any more.
    pub(super) async fn drain(&self, on: bool) {
        // An error means that the task is gone, and the agent about to end.
        let _ = self.commands.send(Command::Draining(on)).await;
    }

    /// Withdraws everything and says goodbye to all neighbours, with `reason`.
    pub(super) async fn stop(&self, reason: &str) {
        let (done, left) = oneshot::channel();
        let reason = reason.to_owned();
        if self
            .commands
            .send(Command::Leave { reason, done })
            .await
            .is_ok()
        {
            // An error means that the task is gone, and with it whatever it could withdraw.
            let _ = left.await;
        }
    }
}

//! The exit as a service: the sessions that it accepts, and its health checks.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::super::control::Command;
use super::super::health;
use super::super::parts::Parts;
use super::super::setup::Shared;
use crate::config;
use crate::exit::{Exit, OwnListeners};
use crate::task::{self, Running, Served, Starter};
use crate::tunnel::AcceptedSession;

pub(super) struct ExitService {
    exit: Arc<Exit>,
    /// Whether its routes are to be used.
    offered: watch::Sender<bool>,
    _tasks: Vec<Running>,
}

impl ExitService {
    /// Starts it, if the file makes this agent an exit. `accepted` takes its sessions in its stead.
    pub(super) fn start(
        parts: &Parts,
        shared: &Shared,
        own: OwnListeners,
        commands: &mpsc::Sender<Command>,
        accepted: Option<mpsc::Sender<AcceptedSession>>,
        starter: &Starter,
    ) -> Option<Self> {
        let config = parts.config.exit.as_ref()?;
        let exit = Exit::new(
            config,
            &parts.config.limits,
            own,
            shared.streams.clone(),
            shared.events.journal.clone(),
        );
        let offered = watch::Sender::new(true);
        let (seen, commands) = (offered.subscribe(), commands.clone());
        let guard = health::guard(exit.clone(), seen, commands);
        let mut tasks = vec![starter.start("health checks", guard)];
        if let Some(listener) = &shared.tunnel.listener {
            let sessions = listener.clone().accept();
            tasks.push(match accepted {
                Some(accepted) => starter.start("accept sessions", hand_over(sessions, accepted)),
                None => starter.start("accept sessions", serve(exit.clone(), sessions)),
            });
        }
        Some(Self {
            exit,
            offered,
            _tasks: tasks,
        })
    }

    /// Withdraws its routes and refuses new work, or neither any more.
    pub(super) fn drain(&self, on: bool) {
        self.exit.drain(on);
        self.offered.send_replace(!on);
    }

    /// Goes by `config` from now on; the agent listens at `own`.
    pub(super) fn apply(&self, config: &config::Exit, own: OwnListeners) {
        self.exit.apply(config, own);
    }

    pub(super) fn exit(&self) -> &Arc<Exit> {
        &self.exit
    }
}

async fn serve(exit: Arc<Exit>, mut sessions: mpsc::Receiver<AcceptedSession>) {
    while let Some(session) = sessions.recv().await {
        let exit = exit.clone();
        task::serve(
            Served::Session,
            exit.serve_connection(session.connection, session.ingress),
        );
    }
}

async fn hand_over(
    mut sessions: mpsc::Receiver<AcceptedSession>,
    accepted: mpsc::Sender<AcceptedSession>,
) {
    while let Some(session) = sessions.recv().await {
        if accepted.send(session).await.is_err() {
            return;
        }
    }
}

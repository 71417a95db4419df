//! The task that holds the services of an agent and does with them what it is asked for, one thing
//! after the other. It ends with the agent.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::added::RouteError;
use super::drain::{Drain, Load, Stage, Step};
use super::lifecycle::{Change, Phase};
use super::notify::Notifier;
use super::reload::{Running, Source};
use super::request::{Desk, Progress, Refused, Request};
use super::service::Services;
use super::setup::Shared;
use crate::api::RouteChange;
use crate::clock;
use crate::config::{self, Config};

/// What leaving may take: a stop that has nothing to wait for promises an end within 2 s.
const LEAVE: Duration = Duration::from_millis(1_200);

/// What the last words on the links get of that, however long the rest took.
const FAREWELL: Duration = Duration::from_millis(300);

/// What the ends of the sessions get to leave; they are small and sent at once.
const LAST_PACKETS: Duration = Duration::from_millis(50);

/// What the neighbours and the ends of sessions are told.
const REASON: &str = "agent stops";

pub(super) struct Operator {
    pub(super) services: Services,
    pub(super) shared: Shared,
    pub(super) desk: Desk,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) source: Source,
    /// The drain under way, if there is one.
    pub(super) drain: Option<Drain>,
    pub(super) notifier: Notifier,
}

impl Operator {
    /// Runs for as long as the agent.
    pub(super) async fn run(mut self) {
        self.desk.life.change(Change::Started);
        loop {
            let drain = self.drain.as_ref();
            let due = drain.and_then(|drain| drain.poll_timeout(clock::now()));
            let look = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.handle(request).await,
                    None => return,
                },
                () = look => {}
            }
            self.go_on().await;
        }
    }

    async fn handle(&mut self, request: Request) {
        match request {
            Request::Drain(done) => {
                let outcome = self.desk.life.change(Change::Drain);
                if outcome.is_some() {
                    self.start_drain();
                }
                // Whoever asked may have gone, here and below.
                let _ = done.send(outcome.map(drop).ok_or(Refused::Starting));
            }
            Request::Undrain(done) => {
                let _ = done.send(self.undrain().await);
            }
            Request::Stop => {
                self.desk.life.change(Change::Stop);
                self.start_drain();
            }
            Request::Reload(done) => {
                let added = self.desk.added.borrow().clone();
                let running = Running {
                    services: &mut self.services,
                    shared: &self.shared,
                    config: &self.desk.config,
                    added: &added,
                };
                self.notifier.reloading();
                let outcome = self.source.reload(running).await;
                self.notifier.reloaded();
                let _ = done.send(outcome);
            }
            Request::Routes(change, done) => {
                let _ = done.send(self.change_routes(change).await);
            }
            Request::Leave(done) => {
                self.desk.life.change(Change::Stop);
                self.leave().await;
                let _ = done.send(());
            }
        }
    }

    /// Advertises other routes beside those of the file.
    async fn change_routes(&mut self, change: RouteChange) -> Result<(), RouteError> {
        let before = self.desk.added.borrow().clone();
        let added = self.source.changed_routes(&before, &change)?;
        if added.saved != before.saved {
            self.source.save(added.clone()).await?;
        }
        let file = self.source.loaded.clone();
        let mut config = Config::clone(&self.desk.config.borrow());
        config.exit = added.in_force(&file).exit;
        self.services.apply_exit(&config);
        info!(routes = shown(&change), change = ?change.what, saved = change.save, "routes changed");
        self.desk.config.send_replace(Arc::new(config));
        self.desk.added.send_replace(Arc::new(added));
        Ok(())
    }

    fn start_drain(&mut self) {
        if self.drain.is_none() {
            let settings = self.desk.config.borrow().drain;
            let config::Drain { timeout, notice } = settings;
            info!(?notice, ?timeout, "draining");
            self.drain = Some(Drain::new(clock::now(), settings));
        }
    }

    async fn undrain(&mut self) -> Result<(), Refused> {
        if self.desk.life.phase() == Phase::Stopping {
            return Err(Refused::Stopping);
        }
        let closed = self.drain.take_if(|drain| drain.stage() != Stage::Noticed);
        if let Some(drain) = closed
            && let Err(error) = self.services.reopen().await
        {
            self.drain = Some(drain);
            return Err(Refused::NotReopened(error.to_string()));
        }
        self.drain = None;
        self.desk.progress.send_replace(None);
        self.desk.life.change(Change::Undrain);
        info!("not draining any more");
        Ok(())
    }

    /// Does what is due in the drain under way.
    async fn go_on(&mut self) {
        while let Some(mut drain) = self.drain.take() {
            let (now, before) = (clock::now(), drain.stage());
            let step = drain.handle(now, self.load());
            let mut cut = self.desk.progress.borrow().map_or(0, |known| known.cut);
            match step {
                Some(Step::Close) => self.services.close().await,
                Some(Step::Cut) => cut = self.cut(),
                None => {}
            }
            let after = drain.stage();
            if after == Stage::Drained && before != after {
                info!("drained");
            }
            let progress = Progress {
                stage: after,
                deadline: now + drain.left(now),
                cut,
            };
            self.desk.progress.send_replace(Some(progress));
            self.drain = Some(drain);
            if step.is_none() {
                return;
            }
        }
    }

    fn cut(&self) -> usize {
        let left = self.services.connections();
        if left > 0 {
            warn!(left, "drain.timeout: what is still open is reset");
        }
        self.services.cut();
        left
    }

    fn load(&self) -> Load {
        let mesh = self.shared.mesh.borrow().clone();
        let links = self.shared.links.snapshot();
        let live = links.values().filter_map(|peer| peer.live.as_ref());
        Load {
            connections: self.services.connections(),
            undelivered: self.services.undelivered(),
            forwarded: self.shared.fib.metrics.forwarded_count(),
            is_sole_way: mesh.table.path_table().graph().is_sole_way(),
            round_trip: live.map(|live| live.rtt).max(),
        }
    }

    /// Withdraws what was advertised and says goodbye. Takes at most 1.5 s.
    async fn leave(&self) {
        let started = clock::now();
        // Sessions first: their last packets need the links.
        if let Some(sessions) = &self.shared.tunnel.sessions {
            sessions.close(REASON);
        }
        if let Some(listener) = &self.shared.tunnel.listener {
            listener.close(REASON);
        }
        sleep(LAST_PACKETS).await;
        let _ = timeout(LEAVE, self.services.say_goodbye(REASON)).await;
        // Drivers flush their last messages and close.
        let rest = LEAVE.saturating_sub(clock::since(started)).max(FAREWELL);
        let _ = timeout(rest, self.services.links_ended()).await;
    }
}

fn shown(change: &RouteChange) -> String {
    let routes: Vec<String> = change.routes.iter().map(ToString::to_string).collect();
    routes.join(", ")
}

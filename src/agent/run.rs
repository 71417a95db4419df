//! `warren run`: an agent in the foreground until a signal ends it.

use std::io;
use std::path::Path;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::error::StartError;
use super::logging;
use super::parts::Parts;
use super::start::Agent;
use crate::config::{Config, ConfigErrors};
use crate::task::TaskFailed;

/// Why `warren run` failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file is wrong: exit code 2.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Failed(#[from] TaskFailed),
    #[error("cannot set up the process: {0}")]
    Process(#[from] io::Error),
}

/// The runtime of one agent: one thread, see the module above.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Runs the agent that `file` describes until SIGTERM or SIGINT; a second signal ends at once.
pub fn run(file: &Path) -> Result<(), RunError> {
    let config = Config::load(file)?;
    let agent = &config.agent;
    let log = logging::init(&agent.log_level, agent.log_format, config.limits.log_lines);
    if let (Some(log), Some(name)) = (&log, &agent.display_name) {
        log.give_name(name);
    }
    let parts = Parts::load(config)?;
    if let Some(log) = &log {
        // Without a name of its own it has its id's.
        log.give_name(&parts.display_name());
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let mut agent = Agent::start(parts).await?;
        let name = tokio::select! {
            name = signals.stop() => name,
            // At once: neighbours notice a silent end soon, and half an agent cannot say goodbye.
            failed = agent.failed() => return Err(failed.into()),
        };
        info!(signal = name, "stopping");
        tokio::select! {
            () = agent.shutdown() => {}
            name = signals.stop() => info!(signal = name, "stopping at once"),
        }
        Ok(())
    });
    // A lookup by the system's resolver or a write to a dead disk may go on for ever.
    runtime.shutdown_background();
    ended
}

/// Blocks until SIGTERM or SIGINT.
pub fn wait_for_stop_signal() -> io::Result<()> {
    runtime()?.block_on(async {
        Signals::listen()?.stop().await;
        Ok(())
    })
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that ends the agent.
    async fn stop(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => {
                    warn!("SIGHUP ignored: this release cannot reload; restart the agent instead");
                }
            }
        }
    }
}

//! One agent of the demo: a thread, a runtime, and the means to kill it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use tokio::sync::oneshot;

use crate::agent::{Agent, Parts};
use crate::identity::AgentId;

/// A running agent.
pub(super) struct Host {
    pub(super) name: &'static str,
    pub(super) id: AgentId,
    pub(super) listener: Option<SocketAddr>,
    pub(super) socks: Option<SocketAddr>,
    pub(super) http: Option<SocketAddr>,
    end: Option<oneshot::Sender<End>>,
    thread: Option<JoinHandle<()>>,
}

/// How an agent ends.
enum End {
    /// As by SIGTERM.
    Stop,
    /// As by SIGKILL.
    Kill,
}

struct Started {
    listener: Option<SocketAddr>,
    socks: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Host {
    /// Starts an agent and waits until it listens.
    pub(super) fn start(name: &'static str, parts: Parts) -> Result<Self> {
        let id = parts.id();
        let (end, ended) = oneshot::channel();
        let (started, wait) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(parts, ended, &started))
            .context("cannot start a thread")?;
        let started = wait
            .recv()
            .map_err(|_| anyhow!("{name} ended while it started"))?
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name,
            id,
            listener: started.listener,
            socks: started.socks,
            http: started.http,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Ends the agent without a word.
    pub(super) fn kill(&mut self) {
        self.end(End::Kill);
    }

    /// Lets the agent say goodbye.
    pub(super) fn stop(&mut self) {
        self.end(End::Stop);
    }

    fn end(&mut self, how: End) {
        if let Some(end) = self.end.take() {
            // The thread may have ended by itself.
            let _ = end.send(how);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(parts: Parts, ended: oneshot::Receiver<End>, started: &mpsc::Sender<Result<Started>>) {
    let runtime = match crate::agent::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error.into()))),
    };
    runtime.block_on(async {
        let mut agent = match Agent::start(parts).await {
            Ok(agent) => agent,
            Err(error) => return drop(started.send(Err(error.into()))),
        };
        let addresses = Started {
            listener: agent.listeners().first().copied(),
            socks: agent.socks5(),
            http: agent.http(),
        };
        if started.send(Ok(addresses)).is_err() {
            return;
        }
        let end = tokio::select! {
            end = ended => end,
            failed = agent.failed() => {
                // Nobody is left to hear of it if that fails.
                let _ = writeln!(std::io::stderr(), "warren: {failed}");
                std::process::exit(1);
            }
        };
        if let Ok(End::Stop) = end {
            agent.shutdown().await;
        }
    });
    runtime.shutdown_background();
}

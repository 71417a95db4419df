//! A thread that lives in a network namespace or where its process is, with a runtime of its own:
//! loads and probes run in this process, share its clock and memory, and still use the namespace's
//! interfaces.

use std::fs::File;
use std::future::Future;
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;

use anyhow::Context;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::netns::Netns;

/// Where `ip netns` keeps its namespaces.
const NAMESPACES: &str = "/run/netns";

/// The running thread. Dropping it ends its tasks and waits for its end, so that nothing holds the
/// namespace afterwards.
#[derive(Debug)]
pub struct Host {
    handle: Handle,
    /// Dropping it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Host {
    /// Starts a thread inside `namespace`. It never leaves it.
    pub fn start(namespace: &Netns) -> anyhow::Result<Self> {
        let path = Path::new(NAMESPACES).join(namespace.name());
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let enter = move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .with_context(|| format!("cannot enter {}; that needs root", path.display()))
        };
        Self::begin(namespace.name(), enter)
    }

    /// Starts a thread that stays where this process is.
    pub fn here(name: &str) -> anyhow::Result<Self> {
        Self::begin(name, || Ok(()))
    }

    /// Starts a thread that first does `enter`.
    fn begin(
        name: &str,
        enter: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (report, entered) = std::sync::mpsc::channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let moved = enter();
                let inside = moved.is_ok();
                // Nobody waits any more if the whole process is ending.
                let _ = report.send(moved);
                if inside {
                    // An error is the signal: the sender was dropped.
                    let _ = runtime.block_on(stopped);
                }
            })
            .context("cannot start a thread")?;
        entered.recv().context("the thread ended early")??;
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Starts a task on the thread; the sockets that it opens are the namespace's.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.handle.spawn(task)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in a task was reported by its join handle.
            let _ = thread.join();
        }
    }
}

//! Tasks, and what a panic in one of them ends: the process, or one connection.
//!
//! ```text
//!  Vital   control, receive loops, flushers …   panicked or returned ──► `failed` ──► the process
//!  serve   a link, a session, a stream …        panicked ──► logged, counted, that one ends
//! ```
//!
//! Nothing in between: an agent without one of its vital tasks would still answer `/health` and
//! carry nothing, and its supervisor would not know. `tests/layers` sees to it that nothing else
//! spawns. The message of a panic is logged by the panic hook.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};
use tracing::error;

/// Tasks that an agent cannot be without. Dropping this aborts them.
#[derive(Debug, Default)]
pub struct Vital {
    tasks: JoinSet<()>,
    names: HashMap<Id, Name>,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    task: &'static str,
    /// Its return is no failure.
    ends: bool,
}

/// A vital task is gone.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {task} task {how}; that is a defect of warren, please report it with the log; the agent \
     has ended, start it again"
)]
pub struct TaskFailed {
    pub task: &'static str,
    how: String,
}

impl Vital {
    /// Starts a task that runs for as long as the agent.
    pub fn spawn(&mut self, task: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.start(Name { task, ends: false }, future);
    }

    /// Starts a task that may come to an end of its own.
    pub fn spawn_ending(
        &mut self,
        task: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        self.start(Name { task, ends: true }, future);
    }

    fn start(&mut self, name: Name, future: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(future);
        self.names.insert(handle.id(), name);
    }

    /// Waits until a task panics, or returns although it should not. Cancel safe.
    pub async fn failed(&mut self) -> TaskFailed {
        loop {
            match self.tasks.join_next_with_id().await {
                Some(ended) => {
                    if let Some(failed) = self.judge(ended) {
                        return failed;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    fn judge(&mut self, ended: Result<(Id, ()), JoinError>) -> Option<TaskFailed> {
        let (id, how) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(death(error))),
        };
        let Name { task, ends } = self.names.remove(&id)?;
        match how {
            None if ends => None,
            how => Some(TaskFailed {
                task,
                how: how.unwrap_or_else(|| "returned".to_owned()),
            }),
        }
    }
}

fn death(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => format!("panicked ({})", panic_message(&*payload)),
        Err(_) => "was aborted".to_owned(),
    }
}

/// What `panic!` was told.
pub fn panic_message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// What a task serves. A panic in it ends that one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// A link or its handshake.
    Link,
    /// A session: its handshake, its choice of path, its streams' acceptance.
    Session,
    /// A proxied connection at its exit, or the lookup of its name.
    Stream,
    /// A client of the ingress.
    Client,
    /// A client of the HTTP API.
    HttpClient,
}

impl Served {
    /// Every kind, as metrics name it.
    const ALL: [(Self, &'static str); 5] = [
        (Self::Link, "link"),
        (Self::Session, "session"),
        (Self::Stream, "stream"),
        (Self::Client, "client"),
        (Self::HttpClient, "http_client"),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Of the process: panics are not so frequent that each agent in it should count its own.
static PANICS: [AtomicU64; Served::ALL.len()] = [const { AtomicU64::new(0) }; Served::ALL.len()];

/// Panics so far of tasks that served one connection, by kind.
pub fn panics() -> impl Iterator<Item = (&'static str, u64)> {
    let counts = PANICS.iter().map(|count| count.load(Ordering::Relaxed));
    Served::ALL.iter().map(|(_, name)| *name).zip(counts)
}

/// Starts a task that serves one connection, and may outlive whoever started it.
pub fn serve(served: Served, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(contain(served, future).map(|_| ()))
}

/// Runs `future`; `None` if it panicked. What it owned is dropped, and what it shares must be put in
/// order by the caller.
pub async fn contain<T>(served: Served, future: impl Future<Output = T>) -> Option<T> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(done) => Some(done),
        Err(payload) => {
            PANICS[served as usize].fetch_add(1, Ordering::Relaxed);
            let (task, message) = (served.as_str(), panic_message(&*payload));
            error!(
                task,
                message, "a connection has ended by a defect; the others go on"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn never() {
        std::future::pending().await
    }

    #[tokio::test]
    async fn a_vital_task_that_panics_is_named() {
        let mut vital = Vital::default();
        vital.spawn("idle", never());
        vital.spawn("broken", async { panic!("at {}", 7) });
        let failed = vital.failed().await;
        assert_eq!(failed.task, "broken");
        assert!(
            failed
                .to_string()
                .starts_with("the broken task panicked (at 7); "),
            "{failed}"
        );
    }

    #[tokio::test]
    async fn a_vital_task_that_returns_has_failed_unless_it_may() {
        let mut vital = Vital::default();
        vital.spawn_ending("short", async {});
        vital.spawn("lost", async { tokio::task::yield_now().await });
        assert_eq!(vital.failed().await.task, "lost");
        vital.spawn_ending("broken", async { panic!("no") });
        assert_eq!(vital.failed().await.task, "broken");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_fails_while_all_run() {
        let mut vital = Vital::default();
        let long = std::time::Duration::from_secs(3_600);
        assert!(tokio::time::timeout(long, vital.failed()).await.is_err());
        vital.spawn("idle", never());
        assert!(tokio::time::timeout(long, vital.failed()).await.is_err());
    }

    #[tokio::test]
    async fn a_panic_that_serves_one_connection_is_counted_and_goes_no_further() {
        let count = |name| panics().find(|(known, _)| *known == name).unwrap().1;
        let before = count("http_client");
        serve(Served::HttpClient, async { panic!("no") })
            .await
            .unwrap();
        assert_eq!(count("http_client"), before + 1);
        let broken = contain(Served::HttpClient, async { panic!("{}", "no") });
        assert_eq!(broken.await, None::<()>);
        assert_eq!(contain(Served::Link, async { 7 }).await, Some(7));
        assert_eq!(count("http_client"), before + 2);
    }

    #[test]
    fn every_kind_has_its_name() {
        for (index, (served, name)) in Served::ALL.into_iter().enumerate() {
            assert_eq!((served as usize, served.as_str()), (index, name));
        }
    }
}

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
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tracing::error;

/// Tasks that an agent cannot be without, those of its whole life among them. Dropping this aborts them.
#[derive(Debug)]
pub struct Vital {
    starter: Starter,
    failures: mpsc::Receiver<TaskFailed>,
    tasks: Vec<Running>,
}

/// Starts tasks that an agent cannot be without. Whoever starts one holds it.
#[derive(Clone, Debug)]
pub struct Starter {
    failed: mpsc::Sender<TaskFailed>,
}

/// A vital task. Dropping this aborts it, which is no failure.
#[derive(Debug)]
#[must_use = "dropping it aborts the task"]
pub struct Running(Option<AbortHandle>);

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

impl Default for Vital {
    fn default() -> Self {
        // The first failure ends the process.
        let (failed, failures) = mpsc::channel(1);
        Self {
            starter: Starter { failed },
            failures,
            tasks: Vec::new(),
        }
    }
}

impl Vital {
    /// Starts a task that runs for as long as the agent.
    pub fn spawn(&mut self, task: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(self.starter.start(task, future));
    }

    /// For tasks that may end or be ended before the agent.
    pub fn starter(&self) -> &Starter {
        &self.starter
    }

    /// Waits until a task panics, or returns although it should not. Cancel safe.
    pub async fn failed(&mut self) -> TaskFailed {
        let failed = self.failures.recv().await;
        failed.expect("the starter, which sends, is held here")
    }
}

impl Starter {
    /// Starts a task that runs until it is aborted.
    pub fn start(
        &self,
        task: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Running {
        self.run(task, false, future)
    }

    /// Starts a task that may come to an end of its own.
    pub fn start_ending(
        &self,
        task: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Running {
        self.run(task, true, future)
    }

    fn run(
        &self,
        task: &'static str,
        ends: bool,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Running {
        let failed = self.failed.clone();
        let running = tokio::spawn(async move {
            let how = match AssertUnwindSafe(future).catch_unwind().await {
                Ok(()) if ends => return,
                Ok(()) => "returned".to_owned(),
                Err(payload) => format!("panicked ({})", panic_message(&*payload)),
            };
            // Another one has failed before, and the agent is about to end, if that is full.
            let _ = failed.try_send(TaskFailed { task, how });
        });
        Running(Some(running.abort_handle()))
    }
}

impl Running {
    /// Lets it run to its end, which it must come to by itself.
    pub fn let_end(mut self) {
        self.0 = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Ends many tasks at once, those that it guards. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Cut(watch::Sender<()>);

impl Cut {
    /// Runs `future`, which is dropped where it is when [`cut`](Self::cut) is called.
    pub fn guard<F: Future<Output = ()>>(&self, future: F) -> impl Future<Output = ()> + use<F> {
        let mut cut = self.0.subscribe();
        async move {
            tokio::select! {
                () = future => {}
                // An error: whoever might have cut it is gone, and so is its agent.
                _ = cut.changed() => {}
            }
        }
    }

    /// Drops what is guarded now; what is guarded later goes on.
    pub fn cut(&self) {
        self.0.send_replace(());
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
        let _short = vital.starter().start_ending("short", async {});
        vital.spawn("lost", async { tokio::task::yield_now().await });
        assert_eq!(vital.failed().await.task, "lost");
        let broken = async { panic!("no") };
        let _broken = vital.starter().start_ending("broken", broken);
        assert_eq!(vital.failed().await.task, "broken");
    }

    #[tokio::test(start_paused = true)]
    async fn a_vital_task_that_is_given_up_ends_and_is_no_failure() {
        let mut vital = Vital::default();
        let (alive, ended) = tokio::sync::oneshot::channel::<()>();
        let running = vital.starter().start("idle", async {
            never().await;
            drop(alive);
        });
        tokio::task::yield_now().await;
        drop(running);
        assert!(ended.await.is_err());
        let long = std::time::Duration::from_secs(3_600);
        assert!(tokio::time::timeout(long, vital.failed()).await.is_err());
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

    #[tokio::test]
    async fn what_is_guarded_ends_when_it_is_cut() {
        let cut = Cut::default();
        cut.cut();
        let guarded = tokio::spawn(cut.guard(never()));
        tokio::task::yield_now().await;
        assert!(!guarded.is_finished(), "a cut of before is not its own");
        cut.cut();
        guarded.await.unwrap();
        cut.guard(async {}).await;
    }

    #[test]
    fn every_kind_has_its_name() {
        for (index, (served, name)) in Served::ALL.into_iter().enumerate() {
            assert_eq!((served as usize, served.as_str()), (index, name));
        }
    }
}

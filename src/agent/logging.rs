//! Logs to standard error, on a thread of their own.
//!
//! ```text
//!  any thread ── format ──► queue of limits.log_lines ──► thread `log` ──► Outlet ──► stderr
//!                             full: dropped, counted       may stand still for ever
//! ```
//!
//! Nobody waits for standard error but that thread: a pipe that nobody reads, a closed one or a full
//! disk costs lines, which are counted and told once lines can be written again. The thread ends
//! with the process. Why so is in decision 0021.

mod name;
mod outlet;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::error;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::name::{Name, NamedJson, Stamp};
use self::outlet::{Outlet, Tally};
use crate::config::LogFormat;
use crate::task::panic_message;

/// What the last lines may take to leave. The end of an agent takes up to 1.5 s, and SIGTERM promises
/// one within 2 s.
const LAST_LINES: Duration = Duration::from_millis(300);

/// The process's log; there is one, whoever started it.
static LOG: OnceLock<Arc<Tally>> = OnceLock::new();

/// Sets its level; absent while this process does not log.
static LEVEL: OnceLock<SetLevel> = OnceLock::new();

type SetLevel = Box<dyn Fn(&str) + Send + Sync>;

/// A started log. Dropping it waits for the last lines, but not for long.
#[must_use]
pub(super) struct Log {
    tally: Arc<Tally>,
    name: Name,
    /// Dropping this one prints when standard error is stuck, and so would get stuck itself.
    _worker: std::mem::ManuallyDrop<WorkerGuard>,
}

impl Log {
    /// The agent's name, from now on in each line.
    pub(super) fn give_name(&self, name: &str) {
        self.name.give(name);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.tally.wait_idle(LAST_LINES);
    }
}

/// Starts logging for the process, panics included. `level` is a level or a filter directive, checked
/// when the configuration was loaded; at most `lines` wait to be written. `None`: this process logs
/// already.
pub(super) fn init(level: &str, format: LogFormat, lines: usize) -> Option<Log> {
    let (tally, name) = (Arc::new(Tally::default()), Name::default());
    let (writer, worker) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(lines)
        .thread_name("log")
        .finish(Outlet::new(stderr(), format, name.clone(), tally.clone()));
    tally.count_dropped(writer.error_counter());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        // A file or a journal shows colours as rubbish.
        .with_ansi(io::stderr().is_terminal())
        // It would be told on standard error, past the queue.
        .log_internal_errors(false)
        .with_writer(Counted {
            writer,
            tally: tally.clone(),
        });
    match format {
        LogFormat::Text => {
            let builder = builder.with_timer(Stamp(name.clone()));
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().ok()?;
            let _ = LEVEL.set(Box::new(move |level| drop(handle.reload(filter(level)))));
        }
        LogFormat::Json => {
            let named = |json| NamedJson {
                json,
                name: name.clone(),
            };
            let builder = builder.json().map_event_format(named);
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().ok()?;
            let _ = LEVEL.set(Box::new(move |level| drop(handle.reload(filter(level)))));
        }
    }
    let _ = LOG.set(tally.clone());
    std::panic::set_hook(Box::new(log_panic));
    Some(Log {
        tally,
        name,
        _worker: std::mem::ManuallyDrop::new(worker),
    })
}

/// Logs by this level or filter from now on, if this process logs.
pub(super) fn set_level(level: &str) {
    if let Some(set) = LEVEL.get() {
        set(level);
    }
}

/// Checked when the configuration was loaded.
fn filter(level: &str) -> EnvFilter {
    // quinn and its TLS report per connection what our own lines say better.
    let directives = match level {
        "error" | "warn" | "info" => format!("{level},quinn=error,quinn_proto=error,rustls=error"),
        other => other.to_owned(),
    };
    EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Log lines of this process that never reached standard error.
pub(super) fn lines_lost() -> u64 {
    LOG.get().map_or(0, |tally| tally.lost())
}

/// Standard error without the lock that others wait for: the thread may stand still in a write.
fn stderr() -> Box<dyn Write + Send> {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(io::stderr()),
    }
}

/// The default hook writes to standard error itself, and waits for it.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = panic_message(info.payload());
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let at = info.location().map(tracing::field::display);
    let backtrace = std::backtrace::Backtrace::capture();
    let wanted = backtrace.status() == std::backtrace::BacktraceStatus::Captured;
    let backtrace = wanted.then(|| tracing::field::display(&backtrace));
    error!(message, thread, at, backtrace, "panicked");
}

/// Counts the lines that are handed over.
struct Counted {
    writer: NonBlocking,
    tally: Arc<Tally>,
}

impl<'a> MakeWriter<'a> for Counted {
    type Writer = NonBlocking;

    /// One is made for each line.
    fn make_writer(&'a self) -> NonBlocking {
        self.tally.count_queued();
        self.writer.clone()
    }
}

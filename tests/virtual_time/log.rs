//! Logs in virtual time: `WARREN_TEST_LOG=debug` shows what the agents of a seed say.

use std::fmt;

use tokio::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

thread_local! {
    /// When this thread's run began.
    static BEGAN: std::cell::Cell<Option<Instant>> = const { std::cell::Cell::new(None) };
}

struct SinceStart;

impl FormatTime for SinceStart {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let began = BEGAN.get().unwrap_or_else(Instant::now);
        write!(w, "{:>7} ms", began.elapsed().as_millis())
    }
}

/// Begins a run: its logs count from now.
pub(crate) fn begin() {
    BEGAN.set(Some(Instant::now()));
    if let Ok(filter) = std::env::var("WARREN_TEST_LOG") {
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_timer(SinceStart)
            .with_ansi(false)
            .with_test_writer();
        // Another run of this process may have set it.
        let _ = subscriber.try_init();
    }
}

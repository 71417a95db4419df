//! Logs to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging for the process. `level` is a level or a filter directive, checked when the
/// configuration was loaded.
pub(super) fn init(level: &str, format: LogFormat) {
    // quinn and its TLS report per connection what our own lines say better.
    let directives = match level {
        "error" | "warn" | "info" => format!("{level},quinn=error,quinn_proto=error,rustls=error"),
        other => other.to_owned(),
    };
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A file or a journal shows colours as rubbish.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second agent in the same process (the demo, tests) logs through the first one's.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

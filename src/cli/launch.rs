//! `warren run` and `warren demo`: their arguments. What they start lies in layers above, so the
//! program hands it in.

use std::path::{Path, PathBuf};

use clap::Args;

use super::check::Connect;
use super::{Console, Failure};

/// What the layers above do for the command line.
pub struct Launch {
    /// Runs the agent that a file describes until a signal ends it.
    pub run: fn(&Path) -> Result<(), Failure>,
    /// Runs the demo mesh, or its drill.
    pub demo: fn(&DemoArgs, &mut Console) -> Result<(), Failure>,
    /// Dials a peer for `warren check --connect`.
    pub connect: Connect,
}

/// Run an agent in the foreground
///
/// Logs go to standard error. SIGTERM and SIGINT withdraw its routes, say goodbye to its neighbours
/// and end it; a second signal ends it at once.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The agent's configuration
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
}

/// Run a whole mesh in this process, on loopback, without files
///
/// One ingress, two transits, two exits; SOCKS5 on 127.0.0.1:1080, HTTP on 127.0.0.1:8080.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Port for SOCKS5; 0 takes any free one
    #[arg(short, long, value_name = "PORT", default_value_t = 1080)]
    pub port: u16,
    /// Port for HTTP; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub http_port: u16,
    /// Kill the transit in use while a checked download runs, and tell what happened; on free ports
    #[arg(long, conflicts_with_all = ["port", "http_port"])]
    pub drill: bool,
}

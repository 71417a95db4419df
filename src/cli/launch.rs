//! `warren run` and `warren demo`: their arguments. What they start lies in layers above, so the
//! program hands it in.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::check::Connect;
use super::{Console, Failure};

/// What the layers above do for the command line.
pub struct Launch {
    /// Runs the agent that a file describes until a signal ends it.
    pub run: fn(&RunArgs) -> Result<(), Failure>,
    /// Runs the demo mesh, or its drill.
    pub demo: fn(&DemoArgs, &mut Console) -> Result<(), Failure>,
    /// Dials a peer for `warren check --connect`.
    pub connect: Connect,
}

/// Run an agent in the foreground
///
/// Logs go to standard error. SIGTERM and SIGINT drain it and end it; a second signal ends it at once.
/// SIGHUP reads the file again. A service manager that listens at $NOTIFY_SOCKET is told of all that.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The agent's configuration
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// A file that is there while the agent is ready, with the process id in it
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// A file that holds the process id while the agent runs
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// What ready means for the file and for a service manager
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ReadyWhen::Traffic)]
    pub ready_when: ReadyWhen,
}

/// `--ready-when`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReadyWhen {
    /// It can carry traffic, as /ready says
    Traffic,
    /// It runs
    Started,
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

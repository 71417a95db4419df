//! `warren check`: whether a file and a host fit each other, before an agent is started on them.
//!
//! Each check is a function from the configuration to lines; a new one is a file and an entry in
//! `run`.

mod buffers;
mod connections;
mod conntrack;
mod data_dir;
mod dns;
mod ephemeral;
mod health;
mod identity;
mod lookups;
mod open_files;
mod own;
mod peers;
mod ports;
mod report;
mod resolver;
mod routes;
mod socks;
mod special;
mod sysctl;
mod way;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

pub use peers::Connect;
pub use report::{CheckLine, Level};

use super::{Console, Failure};
use crate::config::Config;
use sysctl::Sysctl;

/// Validates a configuration file and this host; prints a line per check.
///
/// If the agent of this file runs, its ports are told as its own.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 if no check fails, 1 if one does, 2 if the file is invalid.\n\n\
    Examples:\n  \
    warren check -c /etc/warren/agent.yaml\n  \
    warren check -c agent.yaml --connect"
)]
pub struct CheckArgs {
    /// The agent's configuration file.
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Dials every configured peer, too.
    #[arg(long)]
    pub connect: bool,
}

/// Reads the file and prints every check's lines. `connect` dials a peer; it is asked only with
/// `--connect`.
pub(super) fn run(
    args: &CheckArgs,
    connect: Connect,
    console: &mut Console,
) -> Result<(), Failure> {
    let config =
        Config::load(&args.config).map_err(|errors| Failure::Configuration(errors.to_string()))?;
    check(&config, args.connect.then_some(connect), console)
}

fn check(config: &Config, connect: Option<Connect>, console: &mut Console) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let mut failed = false;
    let mut show = |lines: Vec<CheckLine>| {
        for line in &lines {
            failed |= line.level == Level::Fail;
            writeln!(console.out, "{line}")?;
        }
        console.out.flush()
    };
    show(identity::check(config, crate::clock::unix_now()))?;
    show(ports::check(config, || own::runs(config)))?;
    show(data_dir::check(config))?;
    show(host(config))?;
    show(socks::check(config).into_iter().collect())?;
    show(routes::check(config))?;
    show(way::check(config))?;
    show(health::check(config))?;
    show(runtime.block_on(dns::check(config)))?;
    show(runtime.block_on(lookups::check(config)))?;
    if let Some(connect) = connect {
        show(runtime.block_on(resolver::check(config)))?;
        show(runtime.block_on(peers::check(config, connect)))?;
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

/// What the kernel allows.
fn host(config: &Config) -> Vec<CheckLine> {
    let sysctl = Sysctl::default();
    let mut lines = open_files::check(config);
    lines.extend(buffers::check());
    lines.extend(conntrack::check(config, &sysctl));
    lines.extend(ephemeral::check(config, &sysctl));
    lines
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

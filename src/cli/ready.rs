//! `warren ready`: whether a running agent can carry traffic, as an exit code.

use std::io::Write;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use super::client::ApiArgs;
use super::status::{PATH, is_health};
use super::text;
use crate::api::Health;

/// Tells by its exit code whether a running agent can carry traffic: for supervisors and images.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 if the agent can carry traffic, 1 if it cannot or does not answer.\n\n\
    Examples:\n  \
    warren ready && echo go\n  \
    warren ready --api http://gw-1:8080"
)]
pub struct ReadyArgs {
    #[command(flatten)]
    api: ApiArgs,
}

/// Prints `ready`; what is in the way is the error.
pub(super) fn run(args: &ReadyArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let answer: Value = args.api.fetch_if(PATH, is_health)?;
    let health: Health = args.api.read(PATH, &answer)?;
    if args.api.json {
        text::write_json(&answer, out)?;
    }
    if !health.status.carries_traffic() {
        match health.reasons.as_slice() {
            [] => bail!("not ready"),
            reasons => bail!("not ready: {}", reasons.join("; ")),
        }
    }
    if !args.api.json {
        writeln!(out, "ready").context("cannot write the output")?;
    }
    Ok(())
}

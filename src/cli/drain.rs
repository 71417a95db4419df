//! `warren drain`: takes an agent out of service, and back.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use super::client::ApiArgs;
use super::status::{PATH, is_health};
use super::{Console, text};
use crate::api::{DrainAnswer, DrainStage, Health};

/// Between two questions how far it has come.
const POLL: Duration = Duration::from_millis(200);

/// Takes a running agent out of service and waits until nothing is left of what it carried.
#[derive(Debug, Args)]
#[command(
    after_help = "New connections go elsewhere, open ones may end within drain.timeout of the agent's file. \
    The agent stays, idle, until it is stopped or the drain is taken back.\n\n\
    Exit code: 0 when the agent is drained, 1 if it cannot be or the drain was taken back.\n\n\
    Examples:\n  \
    warren drain && systemctl restart warren\n  \
    warren drain --undo --api http://gw-1:8080"
)]
pub struct DrainArgs {
    #[command(flatten)]
    api: ApiArgs,
    /// Takes a drain back: the agent serves as before.
    #[arg(long)]
    undo: bool,
}

/// Prints how far the drain is whenever that changes, or the API's last answer.
pub(super) fn run(args: &DrainArgs, console: &mut Console) -> anyhow::Result<()> {
    let path = match args.undo {
        true => "/api/undrain",
        false => "/api/drain",
    };
    let answer: Value = args.api.post(path)?;
    if args.undo {
        return tell(args, &answer, console);
    }
    wait(args, console)
}

fn wait(args: &DrainArgs, console: &mut Console) -> anyhow::Result<()> {
    let mut told = String::new();
    loop {
        let answer: Value = args.api.fetch_if(PATH, is_health)?;
        let health: Health = args.api.read(PATH, &answer)?;
        let Some(drain) = health.drain else {
            bail!("the drain was taken back");
        };
        let line = drain.to_string();
        if args.api.json {
            if drain.stage == DrainStage::Drained {
                return text::write_json(&answer, &mut *console.out);
            }
        } else if line != told {
            writeln!(console.out, "{line}").context("cannot write the output")?;
            console.out.flush().context("cannot write the output")?;
            told = line;
        }
        if drain.stage == DrainStage::Drained {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
}

fn tell(args: &DrainArgs, answer: &Value, console: &mut Console) -> anyhow::Result<()> {
    if args.api.json {
        return text::write_json(answer, &mut *console.out);
    }
    let read: DrainAnswer = args.api.read("/api/undrain", answer)?;
    writeln!(console.out, "{}", super::table::clean(&read.message))
        .context("cannot write the output")
}

//! `warren reload`: makes a running agent read its file again.

use anyhow::{Context, bail};
use clap::Args;
use hyper::StatusCode;
use serde_json::Value;

use super::client::ApiArgs;
use super::table::clean;
use super::{Console, text};
use crate::api::{ReloadAnswer, ReloadStatus};

const PATH: &str = "/api/reload";

/// Makes a running agent read its file again and apply it, without dropping what it carries.
#[derive(Debug, Args)]
#[command(
    after_help = "Prints the keys that changed. A file with an error, or with a change that takes a restart, \
    changes nothing.\n\n\
    Exit code: 0 if the file counts now, 1 if nothing was changed.\n\n\
    Examples:\n  \
    warren reload\n  \
    warren reload --api http://gw-1:8080"
)]
pub struct ReloadArgs {
    #[command(flatten)]
    api: ApiArgs,
}

/// Prints what changed, or why nothing did.
pub(super) fn run(args: &ReloadArgs, console: &mut Console) -> anyhow::Result<()> {
    let answer: Value = args.api.post_if(PATH, is_answer)?;
    let read: ReloadAnswer = args.api.read(PATH, &answer)?;
    if args.api.json {
        text::write_json(&answer, &mut *console.out)?;
    } else {
        print(&read, console).context("cannot write the output")?;
    }
    match read.status {
        ReloadStatus::Reloaded => Ok(()),
        ReloadStatus::Refused | ReloadStatus::Failed => bail!("{}", clean(&read.message)),
    }
}

fn is_answer(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::OK | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY
    )
}

fn print(answer: &ReloadAnswer, console: &mut Console) -> std::io::Result<()> {
    for error in &answer.errors {
        writeln!(console.err, "{}", clean(error))?;
    }
    for refusal in &answer.refused {
        writeln!(
            console.err,
            "{}: {}",
            clean(&refusal.key),
            clean(&refusal.why)
        )?;
    }
    if answer.status == ReloadStatus::Reloaded {
        let changed = match answer.changed.is_empty() {
            true => "nothing has changed".to_owned(),
            false => answer.changed.join("\n"),
        };
        for line in changed.lines() {
            writeln!(console.out, "{}", clean(line))?;
        }
    }
    Ok(())
}

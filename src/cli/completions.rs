//! `warren completions`: what a shell needs to complete command lines.

use std::io::Write;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// Prints a shell's completion script.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    warren completions bash > ~/.local/share/bash-completion/completions/warren\n  \
    warren completions zsh > ~/.zfunc/_warren\n  \
    warren completions fish > ~/.config/fish/completions/warren.fish")]
pub struct CompletionsArgs {
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    // Into memory first: the generator takes a writer's error for a bug.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "warren", &mut script);
    out.write_all(&script).context("cannot write the output")
}

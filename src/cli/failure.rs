//! How commands fail: one line on stderr and an exit code.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::error::ErrorKind;

use super::Console;
use super::table::clean;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The operation failed: exit code 1.
    Failed(anyhow::Error),
    /// The configuration is wrong, one line per mistake: exit code 2.
    Configuration(String),
    /// The command's output already says what failed: exit code 1.
    Told,
    /// The command line asks for help, or cannot be understood.
    CommandLine(clap::Error),
}

impl Failure {
    /// Says what went wrong and returns the exit code.
    pub(super) fn report(self, console: &mut Console) -> u8 {
        let text = match self {
            Self::Failed(error) => format!("{error:#}"),
            Self::Configuration(lines) => {
                for line in lines.lines() {
                    let _ = writeln!(console.err, "warren: {line}");
                }
                return 2;
            }
            Self::Told => return 1,
            Self::CommandLine(error) => return report_command_line(&error, console),
        };
        // Nothing is left to tell it to if stderr is gone.
        let _ = writeln!(console.err, "warren: {}", clean(&one_line(&text)));
        1
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        // What a command does with files it tells itself; a bare error is that of its output.
        let is_bare = error.is::<io::Error>() && error.chain().count() == 1;
        Self::Failed(match is_bare {
            true => error.context("cannot write the output"),
            false => error,
        })
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Failed(anyhow::Error::from(error).context("cannot write the output"))
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::CommandLine(error)
    }
}

fn report_command_line(error: &clap::Error, console: &mut Console) -> u8 {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let written = console.out.write_all(text.as_bytes());
            match written.and_then(|()| console.out.flush()) {
                Ok(()) => 0,
                Err(error) => Failure::from(error).report(console),
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = console.err.write_all(text.as_bytes());
            2
        }
        _ => {
            let _ = writeln!(console.err, "warren: {}", usage_line(&text));
            2
        }
    }
}

/// clap's paragraphs as one line: what is wrong, its tips, and where the usage is told.
fn usage_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let mut paragraphs = text.split("\n\n");
    let mut line = one_line(paragraphs.next().unwrap_or_default());
    let mut command = "warren";
    for paragraph in paragraphs {
        if let Some(usage) = paragraph.strip_prefix("Usage: ") {
            let end = usage.find(['[', '<', '\n']).unwrap_or(usage.len());
            let words = usage[..end].split(" --").next().unwrap_or_default();
            command = words.trim();
        } else if paragraph.trim_start().starts_with("tip: ") {
            let _ = write!(line, "; {}", one_line(paragraph));
        }
    }
    let _ = write!(line, "; see `{command} --help`");
    line
}

fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

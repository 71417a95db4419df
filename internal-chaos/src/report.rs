//! Reports as people read them: what heads them, tables, closing lines; aligned for a terminal and as
//! Markdown. And how commands put out what they have to say.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::machine::Machine;
use crate::table;
use crate::verdict::Verdict;

/// A table with its title, which may be empty. The first row is the head.
pub type Titled = (String, Vec<Vec<String>>);

/// A whole report.
#[derive(Debug)]
pub struct Report {
    pub heading: Vec<String>,
    pub tables: Vec<Titled>,
    pub closing: Vec<String>,
}

/// Where a report goes beside the terminal.
#[derive(Debug, Args)]
pub struct Files {
    /// Write all figures here as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables here as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// A figure that there is none of.
pub const NOTHING: &str = "–";

impl Report {
    /// For a terminal.
    pub fn text(&self) -> String {
        let mut out = lines("", &self.heading);
        for (title, rows) in &self.tables {
            out.push('\n');
            if !title.is_empty() {
                out.push_str(&format!("{title}\n"));
            }
            out.push_str(&table::text(rows));
        }
        out + "\n" + &lines("", &self.closing)
    }

    /// For a page.
    pub fn markdown(&self) -> String {
        let mut out = lines("- ", &self.heading);
        for (title, rows) in &self.tables {
            out.push('\n');
            if !title.is_empty() {
                out.push_str(&format!("**{title}**\n\n"));
            }
            out.push_str(&table::markdown(rows));
        }
        out + "\n" + &lines("- ", &self.closing)
    }

    /// Prints the text, and writes the files that are asked for.
    pub fn publish(&self, value: &Value, files: &Files) -> anyhow::Result<()> {
        print(&self.text())?;
        if let Some(file) = &files.json {
            write(file, &format!("{value:#}\n"))?;
        }
        if let Some(file) = &files.markdown {
            write(file, &self.markdown())?;
        }
        Ok(())
    }
}

fn lines(before: &str, lines: &[String]) -> String {
    let lines = lines.iter().map(|line| format!("{before}{line}\n"));
    lines.collect()
}

/// What a report of figures begins with: the machine, the run, what was run.
pub fn heading(machine: &Machine, run: String, versions: &[String]) -> Vec<String> {
    let mut lines = machine.heading();
    lines.push(run);
    lines.extend_from_slice(versions);
    lines
}

/// What a report of figures ends with.
pub fn closing(verdicts: &[Verdict], notes: &[String]) -> Vec<String> {
    let verdicts = verdicts.iter().map(Verdict::to_string);
    let notes = notes.iter().map(|note| format!("note: {note}"));
    verdicts.chain(notes).collect()
}

/// As programs read it.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).expect("reports hold only strings, numbers and lists")
}

pub fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// A reader that closes stdout early is no failure.
pub fn print(text: &str) -> anyhow::Result<()> {
    put(&mut std::io::stdout().lock(), text)
}

/// What is not the command's result goes to stderr; a closed one is no reason to stop.
pub fn say(line: &str) {
    let _ = put(&mut std::io::stderr(), &format!("{line}\n"));
}

fn put(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

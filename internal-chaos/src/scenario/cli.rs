//! `run` and `list`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::file;
use super::judge::judge;
use super::library;
use super::model::Scenario;
use super::page;
use super::report::{Report, overview};
use super::run::play;
use crate::mesh;

/// An invariant was broken.
pub(super) const BROKEN: u8 = 1;

/// The scenario is bad, or could not be run.
pub(super) const BAD: u8 = 2;

/// Run scenarios against real agents on loopback. Exit code 0: all invariants held; 1: one was
/// broken; 2: a scenario is bad or could not be run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A scenario's file, the name of one of the library, or `all`.
    #[arg(required = true, value_name = "FILE|NAME|all")]
    pub scenarios: Vec<String>,
    /// Begins everything random: impaired links, data, when faults strike.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Multiply every limit of time by this, on a slow machine.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub patience: u32,
    /// The warren binary [default: `warren` beside this program].
    #[arg(long, value_name = "FILE")]
    pub warren: Option<PathBuf>,
    /// Write all that was seen here as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with the timeline here.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Keep each scenario's configurations and logs in a folder of its own below this one.
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
}

/// `internal-chaos run`.
pub async fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let mut scenarios = match chosen(&args.scenarios) {
        Ok(scenarios) => scenarios,
        Err(problem) => {
            print(&mut std::io::stderr(), &format!("{problem}\n"))?;
            return Ok(ExitCode::from(BAD));
        }
    };
    let warren = mesh::binary(args.warren.as_deref())?;
    let version = mesh::version(&warren).await;
    let (mut reports, mut failures) = (Vec::new(), Vec::new());
    for (named, scenario) in &mut scenarios {
        scenario.expect.be_patient(args.patience);
        let seen = play(scenario, &warren, args.seed, args.keep.as_deref()).await;
        let record = match seen {
            Ok(record) => record,
            Err(error) => {
                let text = format!("{}: could not be run: {error:#}\n", scenario.name);
                print(&mut std::io::stdout(), &text)?;
                failures.push((scenario.name.clone(), format!("{error:#}")));
                continue;
            }
        };
        let findings = judge(scenario, &record);
        let report = Report {
            scenario: scenario.name.clone(),
            summary: scenario.summary.clone(),
            seed: args.seed,
            version: version.clone(),
            replay: format!("internal-chaos run {named} --seed {}", args.seed),
            holds: findings.iter().all(|finding| finding.holds),
            findings,
            record,
        };
        print(&mut std::io::stdout(), &report.text())?;
        reports.push(report);
    }
    if scenarios.len() > 1 {
        let text = format!("\n{}", overview(&reports, &failures));
        print(&mut std::io::stdout(), &text)?;
    }
    if let Some(file) = &args.json {
        write(file, &serde_json::to_string_pretty(&reports)?)?;
    }
    if let Some(file) = &args.html {
        write(file, &page::html(&reports, &failures))?;
    }
    Ok(if !failures.is_empty() {
        ExitCode::from(BAD)
    } else if reports.iter().any(|report| !report.holds) {
        ExitCode::from(BROKEN)
    } else {
        ExitCode::SUCCESS
    })
}

/// `internal-chaos list`.
pub fn list() -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    let width = library::ALL.iter().map(|(name, _)| name.len()).max();
    for (name, _) in library::ALL {
        let scenario = library::find(name).context("it is in the library")?;
        let width = width.unwrap_or(0);
        text.push_str(&format!("{name:width$}  {}\n", scenario.summary));
    }
    print(&mut std::io::stdout(), &text)?;
    Ok(ExitCode::SUCCESS)
}

/// The scenarios that arguments name, with the argument that names each alone.
fn chosen(arguments: &[String]) -> Result<Vec<(String, Scenario)>, String> {
    let mut scenarios = Vec::new();
    for argument in arguments {
        if argument == "all" {
            let all = library::ALL.iter().filter_map(|(name, _)| {
                let scenario = library::find(name)?;
                Some(((*name).to_owned(), scenario))
            });
            scenarios.extend(all);
        } else if let Some(scenario) = library::find(argument) {
            scenarios.push((argument.clone(), scenario));
        } else if Path::new(argument).exists() || argument.contains(['/', '.']) {
            let scenario = file::read(Path::new(argument)).map_err(|bad| bad.to_string())?;
            scenarios.push((argument.clone(), scenario));
        } else {
            return Err(format!(
                "no scenario is called `{argument}`, and no file; `internal-chaos list` lists them"
            ));
        }
    }
    Ok(scenarios)
}

pub(super) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// A reader that closes early is no failure.
pub(super) fn print(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

//! `run` and `list`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::Context;
use clap::Args;
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};

use super::file;
use super::ladder::{self, Length};
use super::library;
use super::model::Scenario;
use super::page;
use super::report::{Report, overview};
use super::run::play;
use crate::mesh;
use crate::report::{print, say, write};

/// An invariant was broken.
pub(super) const BROKEN: u8 = 1;

/// The scenario is bad, or could not be run.
pub(super) const BAD: u8 = 2;

/// Run scenarios against real agents on loopback. Exit code 0: all invariants held; 1: one was
/// broken; 2: a scenario is bad or could not be run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A scenario's file, the name of one of the library, `links` for the ladder of links, or `all`.
    #[arg(required = true, value_name = "FILE|NAME|links|all")]
    pub scenarios: Vec<String>,
    /// Begins everything random: impaired links, data, when faults strike.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Multiply every limit of time by this, on a slow machine.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub patience: u32,
    /// Give every link of the ladder (`link-…`) ten minutes without load and five under it.
    #[arg(long)]
    pub long: bool,
    /// Run so many at once. Only those that leave the machine idle do not disturb each other.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub at_once: u8,
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

/// A scenario, and the argument that names it alone.
type Chosen = (String, Scenario);

/// `internal-chaos run`.
pub async fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let scenarios = match chosen(&args.scenarios, args.length()) {
        Ok(scenarios) => scenarios,
        Err(problem) => {
            say(&problem);
            return Ok(ExitCode::from(BAD));
        }
    };
    let count = scenarios.len();
    let (reports, failures) = LocalSet::new().run_until(all(args, scenarios)).await?;
    if count > 1 {
        print(&format!("\n{}", overview(&reports, &failures)))?;
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

/// Runs them, so many at once, on this thread: agents die with the thread that started them. Reports,
/// and what could not be run and why, in the order of the scenarios.
async fn all(
    args: &RunArgs,
    scenarios: Vec<Chosen>,
) -> anyhow::Result<(Vec<Report>, Vec<(String, String)>)> {
    let warren = mesh::binary(args.warren.as_deref())?;
    let version = mesh::version(&warren).await;
    let slots = Rc::new(Semaphore::new(args.at_once.into()));
    let mut runs = Vec::new();
    for (named, mut scenario) in scenarios {
        scenario.expect.be_patient(args.patience);
        let replay = args.replay(&named);
        let (seed, keep) = (args.seed, args.keep.clone());
        let (warren, version, slots) = (warren.clone(), version.clone(), Rc::clone(&slots));
        runs.push(spawn_local(async move {
            let _slot = slots.acquire().await;
            let name = scenario.name.clone();
            let seen = play(&scenario, &warren, seed, keep.as_deref()).await;
            let report = seen.map(|record| Report::new(&scenario, seed, version, replay, record));
            let text = match &report {
                Ok(report) => report.text(),
                Err(error) => format!("{name}: could not be run: {error:#}\n"),
            };
            print(&text)?;
            Ok::<_, anyhow::Error>(report.map_err(|error| (name, format!("{error:#}"))))
        }));
    }
    let (mut reports, mut failures) = (Vec::new(), Vec::new());
    for run in runs {
        match run.await.context("a run panicked")?? {
            Ok(report) => reports.push(report),
            Err(failure) => failures.push(failure),
        }
    }
    Ok((reports, failures))
}

impl RunArgs {
    fn length(&self) -> Length {
        match self.long {
            true => Length::Long,
            false => Length::Short,
        }
    }

    fn replay(&self, named: &str) -> String {
        let long = if self.long { " --long" } else { "" };
        format!("internal-chaos run {named} --seed {}{long}", self.seed)
    }
}

/// `internal-chaos list`.
pub fn list() -> anyhow::Result<ExitCode> {
    let all: Vec<Scenario> = library::all(Length::Short).collect();
    let width = all.iter().map(|scenario| scenario.name.len()).max();
    let width = width.unwrap_or(0);
    let lines = all.iter().map(|scenario| {
        let Scenario { name, summary, .. } = scenario;
        format!("{name:width$}  {summary}\n")
    });
    print(&lines.collect::<String>())?;
    Ok(ExitCode::SUCCESS)
}

/// The scenarios that arguments name, with the argument that names each alone.
fn chosen(arguments: &[String], length: Length) -> Result<Vec<Chosen>, String> {
    let named = |scenario: Scenario| (scenario.name.clone(), scenario);
    let mut scenarios = Vec::new();
    for argument in arguments {
        if argument == "all" {
            scenarios.extend(library::all(length).map(named));
        } else if argument == "links" {
            scenarios.extend(ladder::all(length).map(named));
        } else if let Some(scenario) = library::find(argument, length) {
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

//! `soak`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::super::cli::{BAD, BROKEN};
use super::super::model::Scenario;
use super::super::{BadScenario, file};
use super::report::Report;
use super::run::{Plan, soak};
use crate::mesh;
use crate::report::{print, say, write};

/// The mesh, the load and the faults that come with the program.
pub(super) const MESH: &str = include_str!("mesh.yaml");

/// Load a mesh of real agents on loopback for minutes or hours, break it at random, and see that
/// nothing is lost and nothing grows. Exit code 0: all invariants held; 1: one was broken, or memory,
/// descriptors, tasks or streams of an agent grew; 2: it could not be run.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// How long; the cycle under way is finished. Fewer than 4 are too few to judge.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(4..=10_080))]
    pub minutes: u64,
    /// Begins everything random: impaired links, data, which faults strike when.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Another mesh: a scenario whose load is that of one cycle, and whose faults are those to draw
    /// from; its expectations are not looked at.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// The warren binary [default: `warren` beside this program].
    #[arg(long, value_name = "FILE")]
    pub warren: Option<PathBuf>,
    /// Write all that was seen here as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Keep configurations and logs in a folder of its own below this one.
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
}

/// `internal-chaos soak`.
pub async fn run(args: &SoakArgs) -> anyhow::Result<ExitCode> {
    let scenario = match args.scenario() {
        Ok(scenario) => scenario,
        Err(problem) => {
            say(&problem.to_string());
            return Ok(ExitCode::from(BAD));
        }
    };
    let warren = mesh::binary(args.warren.as_deref())?;
    let plan = Plan {
        time: Duration::from_secs(args.minutes * 60),
        seed: args.seed,
        keep: args.keep.clone(),
    };
    let version = mesh::version(&warren).await;
    let tell = |line: &str| print(&format!("{line}\n"));
    let record = match soak(&scenario, &warren, &plan, tell).await {
        Ok(record) => record,
        Err(error) => {
            say(&format!("{}: could not be run: {error:#}", scenario.name));
            return Ok(ExitCode::from(BAD));
        }
    };
    let report = Report::new(&scenario.name, args.seed, version, args.replay(), record);
    print(&report.text())?;
    if let Some(file) = &args.json {
        write(file, &serde_json::to_string_pretty(&report)?)?;
    }
    Ok(match report.holds {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(BROKEN),
    })
}

impl SoakArgs {
    fn scenario(&self) -> Result<Scenario, BadScenario> {
        match &self.scenario {
            Some(path) => file::read(path),
            None => file::parse("soak", "soak.yaml", MESH),
        }
    }

    fn replay(&self) -> String {
        let Self { minutes, seed, .. } = self;
        let mut text = format!("internal-chaos soak --minutes {minutes} --seed {seed}");
        if let Some(path) = &self.scenario {
            text.push_str(&format!(" --scenario {}", path.display()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::model::What;
    use super::*;

    #[test]
    fn what_must_live_long_is_never_ended() {
        let scenario = file::parse("soak", "soak.yaml", MESH).unwrap();
        let ended = scenario.ended().into_iter();
        let ended: Vec<&str> = ended
            .map(|agent| scenario.agents[agent].name.as_str())
            .collect();
        assert_eq!(ended, ["exit-b", "transit-b"]);
        let stopped = |agent| {
            let is = |what: &What| matches!(what, What::Stop(it) if *it == agent);
            scenario.faults.iter().any(|fault| is(&fault.what))
        };
        assert!(stopped(scenario.agent("ingress").unwrap()));
    }
}

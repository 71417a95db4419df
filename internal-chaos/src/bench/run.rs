//! A whole run: what can be measured here, round after round, then the report.

use std::path::PathBuf;
use std::process::ExitCode;

use super::cli::BenchArgs;
use super::figures::Figures;
use super::measure::{Settings, measure};
use super::report::Run;
use super::system::System;
use crate::machine::Machine;
use crate::netns::Netns;
use crate::process::raise_open_files;
use crate::report::say;
use crate::{mesh, openssh};

/// Measures, prints the table, writes the files. Fails if a system could not be started or broke;
/// a missed goal is a finding, not a failure.
pub async fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    // A machine that cannot make namespaces should say so before the first round.
    drop(Netns::create("probe")?);
    raise_open_files();
    let machine = Machine::here().await;
    let mut notes = Vec::new();
    let mut versions = Vec::new();
    let mut systems = args.systems();
    if let Some(reason) = openssh::missing().filter(|_| systems.contains(&System::OpenSsh)) {
        notes.push(format!("openssh skipped: {reason}"));
        systems.retain(|&system| system != System::OpenSsh);
    }
    if systems.contains(&System::OpenSsh) {
        let version = openssh::version().await;
        versions.push(format!("openssh: {version}, {}", openssh::CIPHER));
    }
    let is_warren = |system: &System| matches!(system, System::Warren(_));
    let mut warren = PathBuf::new();
    if systems.iter().any(is_warren) {
        match warren_binary(args).await {
            Ok((path, version)) => {
                warren = path;
                versions.push(format!("warren: {version}"));
            }
            Err(error) => {
                notes.push(format!("warren skipped: {error:#}"));
                systems.retain(|system| !is_warren(system));
            }
        }
    }
    let settings = Settings {
        warren: &warren,
        seconds: args.seconds,
        idle: args.idle,
    };
    let mut figures = Figures::default();
    rounds(&systems, args.repeats, &settings, &mut figures, &mut notes).await;
    let failed = !notes.is_empty();
    let run = Run {
        machine,
        repeats: args.repeats,
        seconds: args.seconds,
        idle: args.idle,
        systems,
        versions,
        figures,
        notes,
    };
    run.report().publish(&run.json(), &args.files)?;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn warren_binary(args: &BenchArgs) -> anyhow::Result<(PathBuf, String)> {
    let path = mesh::binary(args.warren.as_deref())?;
    let version = mesh::version(&path).await;
    Ok((path, version))
}

async fn rounds(
    systems: &[System],
    repeats: u32,
    settings: &Settings<'_>,
    figures: &mut Figures,
    notes: &mut Vec<String>,
) {
    for round in 1..=repeats {
        for &system in systems {
            let mut progress =
                |phase: &str| say(&format!("round {round}/{repeats}: {system}: {phase}"));
            if let Err(error) = measure(system, settings, figures, &mut progress).await {
                let note = format!("round {round}: {system}: {error:#}");
                say(&note);
                notes.push(note);
            }
        }
    }
}

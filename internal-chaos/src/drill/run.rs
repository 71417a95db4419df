//! A whole drill: repeats of every fault, interleaved so that a slow minute of the machine hits all
//! of them alike, then the report.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use super::cli::DrillArgs;
use super::heartbeat::heartbeat_name;
use super::plot;
use super::repeat::{Drill, End, Repeat, Settings};
use super::report::Run;
use crate::machine::Machine;
use crate::mesh;
use crate::report::{say, write};

/// Repeats in a row that may fail before the drill gives up.
const MOST_FAILURES: u32 = 5;

/// Breaks things, prints the table, writes the files. Fails if a byte was lost, a connection was
/// broken by a fault of a path or transit, something leaked, or a repeat could not be made; a missed
/// time is a finding, not a failure.
pub async fn run(args: &DrillArgs) -> anyhow::Result<ExitCode> {
    let machine = Machine::here().await;
    let warren = mesh::binary(args.warren.as_deref())?;
    let version = mesh::version(&warren).await;
    let mut drill = Drill::open(&warren).await?;
    let mut run = Run {
        machine,
        version,
        seed: args.seed,
        rate: args.rate(),
        repeats: Vec::new(),
        quiet: Vec::new(),
        notes: Vec::new(),
    };
    quiet(&mut drill, args, &mut run).await;
    repeats(&mut drill, args, &mut run).await;
    if let Some(file) = &args.plot
        && let Err(error) = plot(&mut drill, file, args.seed).await
    {
        run.notes.push(format!("plot: {error:#}"));
    }
    run.report().publish(&run.json(), &args.files)?;
    Ok(if run.is_wrong() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn quiet(drill: &mut Drill, args: &DrillArgs, run: &mut Run) {
    let flows = args.flows.iter().copied().max().unwrap_or(1);
    for &heartbeat in args.heartbeats.iter().filter(|_| args.quiet > 0) {
        let name = heartbeat_name(heartbeat);
        say(&format!("no fault for {} s, heartbeat {name}", args.quiet));
        match drill.quiet(heartbeat, flows, args.seed, args.quiet).await {
            Ok(quiet) => run.quiet.push(quiet),
            Err(error) => run
                .notes
                .push(format!("no fault, heartbeat {name}: {error:#}")),
        }
    }
}

async fn plot(drill: &mut Drill, file: &Path, seed: u64) -> anyhow::Result<()> {
    say("plot");
    let download = drill.repeat(plot::settings(seed)).await?;
    write(file, &plot::svg(&download)?)
}

async fn repeats(drill: &mut Drill, args: &DrillArgs, run: &mut Run) {
    let mut failures = 0;
    for (number, settings) in schedule(args) {
        let label = label(number, args.repeats, settings);
        match drill.repeat(settings).await {
            Ok(repeat) => {
                failures = 0;
                say(&format!("{label}: {}", summary(&repeat)));
                run.repeats.push(repeat);
            }
            Err(error) => {
                failures += 1;
                let note = format!("{label}: {error:#}");
                say(&note);
                run.notes.push(note);
            }
        }
        keep(drill, args, settings.seed);
        if failures == MOST_FAILURES {
            let note = format!("gave up after {failures} failures in a row");
            run.notes.push(note);
            return;
        }
    }
}

/// All repeats with their rounds, from 1. The order of the faults changes with every round, because
/// every second one strikes a mesh that had a fault before.
fn schedule(args: &DrillArgs) -> Vec<(u32, Settings)> {
    let mut faults = args.faults();
    let mut schedule = Vec::new();
    for &heartbeat in &args.heartbeats {
        for number in 1..=args.repeats {
            faults.rotate_left(1);
            for &flows in &args.flows {
                schedule.extend(faults.iter().map(|&fault| {
                    let settings = Settings {
                        heartbeat,
                        fault,
                        downloads: flows,
                        uploads: flows,
                        rate: args.rate(),
                        seed: args.seed,
                    };
                    (number, settings)
                }));
            }
        }
    }
    for ((_, settings), offset) in schedule.iter_mut().zip(1..) {
        settings.seed = settings.seed.wrapping_add(offset);
    }
    schedule
}

fn label(number: u32, repeats: u32, settings: Settings) -> String {
    format!(
        "{number}/{repeats}: heartbeat {}, {}+{}, {}, seed {}",
        heartbeat_name(settings.heartbeat),
        settings.downloads,
        settings.uploads,
        settings.fault,
        settings.seed
    )
}

/// One repeat on one line.
fn summary(repeat: &Repeat) -> String {
    let stalls = repeat.transfers.iter();
    let stalls = stalls.filter_map(|seen| Some((seen.stall_ms?, seen.stall_begun_ms?)));
    let stall = stalls.reduce(|one, other| if other.0 > one.0 { other } else { one });
    let count = |end: End| {
        repeat
            .transfers
            .iter()
            .filter(|seen| seen.end == end)
            .count()
    };
    let mut line = match stall {
        Some((stall, begun)) => format!("longest stall {stall:.0} ms from {begun:.0} ms on"),
        None => "no transfer lived on".to_owned(),
    };
    line.push_str(&format!(
        ", new connections waited {:.0} ms at most",
        repeat.connects.longest_wait_ms
    ));
    line.push_str(&format!(
        ", machine paused {:.0} ms, an agent waited for a core {:.0} % of the time",
        repeat.pause_ms, repeat.waited_percent
    ));
    for (end, name) in [
        (End::Broken, "broken"),
        (End::Damaged, "DAMAGED"),
        (End::Hung, "HUNG"),
    ] {
        if count(end) > 0 {
            line.push_str(&format!(", {} {name}", count(end)));
        }
    }
    if repeat.connects.failed + repeat.connects.broken > 0 {
        line.push_str(&format!(
            ", {} new connections failed and {} broke ({})",
            repeat.connects.failed,
            repeat.connects.broken,
            repeat.connects.first_error.as_deref().unwrap_or_default()
        ));
    }
    line.push_str(&format!(
        ", whole again {:.0} ms after mending",
        repeat.healed_ms
    ));
    if let Some(started) = repeat.started_ms {
        line.push_str(&format!(", fresh mesh in {started:.0} ms"));
    }
    if repeat.leaks.total() > 0 {
        line.push_str(&format!(", LEAKS {:?}", repeat.leaks));
    }
    line
}

/// Copies the agents' files and logs; that it fails is said, and no reason to stop.
fn keep(drill: &Drill, args: &DrillArgs, seed: u64) {
    let Some(folder) = &args.keep else { return };
    let folder = folder.join(format!("seed-{seed}"));
    if let Err(error) = copy_files(drill.folder(), &folder) {
        say(&format!(
            "cannot keep logs in {}: {error:#}",
            folder.display()
        ));
    }
}

fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser;

    use super::super::fault::Fault;
    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        drill: DrillArgs,
    }

    #[test]
    fn every_fault_meets_every_load_and_heartbeat_equally_often() {
        let args = Cli::parse_from(["drill", "--repeats", "3"]).drill;
        let schedule = schedule(&args);
        assert_eq!(schedule.len(), 3 * Fault::STANDARD.len() * 2 * 2);
        let seeds: BTreeSet<u64> = schedule.iter().map(|(_, one)| one.seed).collect();
        assert_eq!(seeds.len(), schedule.len());
        let firsts: BTreeSet<Fault> = schedule
            .chunks(Fault::STANDARD.len())
            .map(|round| round[0].1.fault)
            .collect();
        assert!(firsts.len() > 1, "the order changes");
        for fault in Fault::STANDARD {
            let of_fault = schedule.iter().filter(|(_, one)| one.fault == fault);
            assert_eq!(of_fault.count(), 3 * 2 * 2, "{fault}");
        }
    }
}

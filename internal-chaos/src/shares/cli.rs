//! The arguments of `shares`, all contests, and the table.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::contest::{Contest, Outcome};
use super::ground::Ground;
use super::run::{Times, contend};
use crate::condition::Condition;
use crate::machine::Machine;
use crate::mesh;
use crate::report::{Files, Report, heading, say, to_value};
use crate::stats::Summary;
use crate::verdict::{self, Verdict};

/// What the smallest of two shares must be, percent.
const GOAL: f64 = 35.0;

/// Measure what senders that share one line get of it: sessions of ingresses with `bbr` or `cubic`, and
/// TCP of the kernel (CUBIC). Makes network namespaces and TUN devices, as root.
/// Exit code 0: everybody had 0.7 of a fair share; 1: somebody had less; 2: something could not be run.
#[derive(Debug, Args)]
pub struct SharesArgs {
    /// Conditions of `internal-chaos conditions` [default: wan congested].
    #[arg(value_name = "CONDITION")]
    conditions: Vec<Condition>,
    /// Who shares the line, in the order in which they begin.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "bbr+bbr,bbr+cubic,cubic+bbr,bbr+tcp,tcp+bbr,cubic+tcp,tcp+cubic"
    )]
    who: Vec<Contest>,
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: u32,
    /// Seconds that count, from `--lead` seconds after the last one began.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    seconds: u32,
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    lead: u32,
    /// Seconds from one sender's begin to the next one's.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    gap: u32,
    /// The warren binary [default: `warren` beside this program].
    #[arg(long, value_name = "FILE")]
    warren: Option<PathBuf>,
    /// Another binary, measured in turn with the first.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    #[command(flatten)]
    files: Files,
}

/// All rounds of one contest with one binary.
#[derive(Debug, Serialize)]
struct Row {
    condition: String,
    who: String,
    binary: usize,
    /// The smallest share of each round, percent.
    least: Summary,
    rounds: Vec<Outcome>,
    #[serde(skip)]
    fair: f64,
}

/// `internal-chaos shares`.
pub async fn run(args: &SharesArgs) -> anyhow::Result<ExitCode> {
    let mut binaries = vec![mesh::binary(args.warren.as_deref())?];
    if let Some(against) = &args.against {
        binaries.push(mesh::binary(Some(against))?);
    }
    let machine = Machine::here().await;
    let ground = Ground::build()?;
    let mut rows = Vec::new();
    let mut failed = false;
    for condition in conditions(args)? {
        for contest in &args.who {
            match measure(args, &ground, &binaries, (&condition, contest)).await {
                Ok(measured) => rows.extend(measured),
                Err(error) => {
                    failed = true;
                    say(&format!("{condition} {contest}: {error:#}"));
                }
            }
        }
    }
    let verdicts: Vec<Verdict> = rows
        .iter()
        .filter(|row| row.binary == 0)
        .map(judge)
        .collect();
    let missed = verdicts
        .iter()
        .any(|it| it.outcome == verdict::Outcome::Missed);
    let mut versions = Vec::new();
    for binary in &binaries {
        versions.push(mesh::version(binary).await);
    }
    report(
        args,
        &rows,
        &verdicts,
        heading(&machine, told(args), &versions),
    )?;
    Ok(match (failed, missed) {
        (true, _) => ExitCode::from(2),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

fn conditions(args: &SharesArgs) -> anyhow::Result<Vec<Condition>> {
    if !args.conditions.is_empty() {
        return Ok(args.conditions.clone());
    }
    let all = ["wan", "congested"].into_iter();
    all.map(|name| Ok(name.parse()?)).collect()
}

/// One row for each binary. In every round each of them is run once.
async fn measure(
    args: &SharesArgs,
    ground: &Ground,
    binaries: &[PathBuf],
    (condition, contest): (&Condition, &Contest),
) -> anyhow::Result<Vec<Row>> {
    let seconds = |count: u32| Duration::from_secs(count.into());
    let times = Times {
        gap: seconds(args.gap),
        lead: seconds(args.lead),
        length: seconds(args.seconds),
    };
    let mut rounds = vec![Vec::new(); binaries.len()];
    for round in 0..args.repeats {
        for (warren, rounds) in binaries.iter().zip(&mut rounds) {
            let seed = u64::from(round) + 1;
            rounds.push(contend(ground, (condition, contest), (warren, seed), times).await?);
        }
    }
    let rows = rounds.into_iter().enumerate();
    let rows = rows.filter_map(|(binary, rounds)| {
        let least: Vec<f64> = rounds.iter().map(Outcome::least).collect();
        Some(Row {
            condition: condition.to_string(),
            who: contest.to_string(),
            binary,
            least: Summary::of(&least)?,
            rounds,
            fair: contest.fair(),
        })
    });
    Ok(rows.collect())
}

/// Of two, each shall have 35 %: 0.7 of what it would have if both had the same.
fn judge(row: &Row) -> Verdict {
    let goal = format!("{}, {}: the smallest share", row.condition, row.who);
    let limit = GOAL / 50.0 * row.fair;
    Verdict::new(
        goal,
        Some(row.least.median),
        verdict::Side::AtLeast,
        limit,
        "%",
    )
}

fn told(args: &SharesArgs) -> String {
    format!(
        "{} rounds, {} s each from {} s after the last of them began, one every {} s",
        args.repeats, args.seconds, args.lead, args.gap
    )
}

fn report(
    args: &SharesArgs,
    rows: &[Row],
    verdicts: &[Verdict],
    heading: Vec<String>,
) -> anyhow::Result<()> {
    let report = Report {
        heading,
        tables: vec![(String::new(), table(rows))],
        closing: verdicts.iter().map(Verdict::to_string).collect(),
    };
    report.publish(&to_value(rows), &args.files)
}

fn table(rows: &[Row]) -> Vec<Vec<String>> {
    let head = [
        "",
        "who",
        "binary",
        "Mbit/s of each",
        "shares, %",
        "least, %",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|row| {
        let least = &row.least;
        vec![
            row.condition.clone(),
            row.who.clone(),
            ["first", "against"][row.binary.min(1)].to_owned(),
            medians(&row.rounds, |outcome| outcome.mbit.clone(), 1),
            medians(&row.rounds, Outcome::shares, 0),
            format!("{:.0} ({:.0}–{:.0})", least.median, least.min, least.max),
        ]
    }));
    cells
}

/// Of each sender, `a:b`.
fn medians(rounds: &[Outcome], of: impl Fn(&Outcome) -> Vec<f64>, digits: usize) -> String {
    let all: Vec<Vec<f64>> = rounds.iter().map(of).collect();
    let senders = all.first().map_or(0, Vec::len);
    let median = |sender: usize| {
        let seen: Vec<f64> = all
            .iter()
            .filter_map(|it| it.get(sender).copied())
            .collect();
        Summary::of(&seen).map_or_else(String::new, |it| format!("{:.digits$}", it.median))
    };
    (0..senders).map(median).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_shall_have_35_percent_and_three_as_much_of_a_fair_share() {
        let row = |who: &str, mbit: Vec<f64>| {
            let contest: Contest = who.parse().unwrap();
            let outcome = Outcome {
                mbit,
                by_second: Vec::new(),
            };
            Row {
                condition: "wan".to_owned(),
                who: contest.to_string(),
                binary: 0,
                least: Summary::of(&[outcome.least()]).unwrap(),
                rounds: vec![outcome],
                fair: contest.fair(),
            }
        };
        let seen = |who, mbit| judge(&row(who, mbit)).outcome;
        assert_eq!(seen("bbr+tcp", vec![35.0, 65.0]), verdict::Outcome::Met);
        assert_eq!(seen("bbr+tcp", vec![34.0, 66.0]), verdict::Outcome::Missed);
        let three = vec![24.0, 38.0, 38.0];
        assert_eq!(seen("bbr+cubic+tcp", three), verdict::Outcome::Met);
        let table = table(&[row("bbr+tcp", vec![35.0, 65.0])]);
        assert_eq!(table[1][3..], ["35.0:65.0", "35:65", "35 (35–35)"]);
    }
}

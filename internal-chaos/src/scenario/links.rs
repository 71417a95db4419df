//! `links`: what a session carries over each named condition, and what new connections wait beside it.
//!
//! An ingress and an exit, one link between them under the condition, one load: each measurement is a
//! scenario of its own. Several binaries take turns, so that they meet the same machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::cli::{BAD, BROKEN};
use super::record::{Outcome, Record, in_millis};
use super::{file, play};
use crate::condition::Condition;
use crate::report::{print, say, write};
use crate::stats::Summary;
use crate::{mesh, table};

/// Startup and the first drain of a session, which throughput is not taken from: ten round trips of
/// 600 ms do not fit, so that a satellite's figure includes some of it.
const LEAD: Duration = Duration::from_secs(2);

/// Conditions that carry a load, from `internal-chaos conditions`.
const CONDITIONS: [&str; 8] = [
    "lan",
    "wan",
    "transatlantic",
    "slow-4g",
    "satellite",
    "lossy-wan",
    "bursty",
    "congested",
];

/// Measure downloads and uploads, and connections beside them, over a link under each named condition.
/// Exit code 0: all limits held; 1: one was missed; 2: something could not be run.
#[derive(Debug, Args)]
pub struct LinksArgs {
    /// Conditions of `internal-chaos conditions` [default: all that carry a load and form at once].
    #[arg(value_name = "CONDITION")]
    conditions: Vec<Condition>,
    /// The warren binary [default: `warren` beside this program].
    #[arg(long, value_name = "FILE")]
    warren: Option<PathBuf>,
    /// Another binary, measured in turn with the first.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Loads: `down` or `up` and how many at once.
    #[arg(long, value_delimiter = ',', default_value = "down-1,down-8,up-1,up-8")]
    loads: Vec<String>,
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: u32,
    /// Seconds of each load.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(4..=300))]
    seconds: u32,
    /// Keys of all agents' configuration, as JSON.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    settings: String,
    /// Fails if the first binary misses a limit: `lossy-wan/down-8/mbit>=75` or
    /// `congested/down-1/wait_ms<=250`, medians.
    #[arg(long, value_delimiter = ',')]
    expect: Vec<String>,
    /// Write all figures here as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The figures of one run.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    /// Of all transfers together, after the lead.
    mbit: f64,
    /// Mbit/s of all transfers together, in each second of the load.
    by_second: Vec<f64>,
    /// Connect and echo beside them, the median.
    wait_ms: Option<f64>,
    /// From the start of the agents until the ingress has a way.
    form_ms: f64,
}

/// The figures of one binary, condition and load.
#[derive(Debug, Serialize)]
struct Row {
    condition: String,
    load: String,
    binary: usize,
    mbit: Summary,
    wait_ms: Option<Summary>,
    form_ms: Summary,
    /// Mbit/s in each second, the mean of the rounds: how a session gets to its rate.
    by_second: Vec<f64>,
}

/// A limit of `--expect`.
#[derive(Debug, PartialEq)]
struct Limit {
    condition: String,
    load: String,
    figure: String,
    least: bool,
    value: f64,
}

/// `internal-chaos links`.
pub async fn run(args: &LinksArgs) -> anyhow::Result<ExitCode> {
    let limits: Vec<Limit> = args
        .expect
        .iter()
        .map(|text| limit(text))
        .collect::<Result<_, _>>()?;
    let binaries = binaries(args)?;
    let mut rows = Vec::new();
    let mut failed = false;
    for condition in conditions(&args.conditions)? {
        for load in &args.loads {
            match measure(args, &binaries, &condition, load).await {
                Ok(measured) => rows.extend(measured),
                Err(error) => {
                    failed = true;
                    say(&format!("{condition} {load}: {error:#}"));
                }
            }
        }
    }
    print(&text(&rows))?;
    if let Some(file) = &args.json {
        write(file, &serde_json::to_string_pretty(&rows)?)?;
    }
    let missed: Vec<String> = limits.iter().filter_map(|it| it.missed(&rows)).collect();
    for missed in &missed {
        print(&format!("missed: {missed}\n"))?;
    }
    Ok(match (failed, missed.is_empty()) {
        (true, _) => ExitCode::from(BAD),
        (false, false) => ExitCode::from(BROKEN),
        (false, true) => ExitCode::SUCCESS,
    })
}

fn binaries(args: &LinksArgs) -> anyhow::Result<Vec<PathBuf>> {
    let first = mesh::binary(args.warren.as_deref())?;
    let second = args.against.as_deref().map(|path| mesh::binary(Some(path)));
    Ok([Some(first), second.transpose()?]
        .into_iter()
        .flatten()
        .collect())
}

fn conditions(named: &[Condition]) -> anyhow::Result<Vec<Condition>> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let all = CONDITIONS.iter().map(|name| Ok(name.parse()?));
    all.collect()
}

/// One row for each binary. In every round each of them is run once.
async fn measure(
    args: &LinksArgs,
    binaries: &[PathBuf],
    condition: &Condition,
    load: &str,
) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::TempDir::with_prefix("chaos-links-").context("cannot make a folder")?;
    let path = folder.path().join("links.yaml");
    fs::write(&path, scenario(args, condition, load)?).context("cannot write a scenario")?;
    let scenario = file::read(&path).map_err(|bad| anyhow::anyhow!("{bad}"))?;
    let mut runs: BTreeMap<usize, Vec<Figures>> = BTreeMap::new();
    for round in 0..args.repeats {
        for (number, warren) in binaries.iter().enumerate() {
            let record = play(&scenario, warren, u64::from(round) + 1, None).await?;
            let figures = figures(&record, Duration::from_secs(args.seconds.into()));
            runs.entry(number).or_default().push(figures);
        }
    }
    let rows = runs.into_iter().filter_map(|(binary, runs)| {
        let of = |figure: fn(&Figures) -> Option<f64>| {
            Summary::of(&runs.iter().filter_map(figure).collect::<Vec<f64>>())
        };
        Some(Row {
            condition: condition.to_string(),
            load: load.to_owned(),
            binary,
            mbit: of(|run| Some(run.mbit))?,
            wait_ms: of(|run| run.wait_ms),
            form_ms: of(|run| Some(run.form_ms))?,
            by_second: mean_by_second(&runs),
        })
    });
    Ok(rows.collect())
}

fn mean_by_second(runs: &[Figures]) -> Vec<f64> {
    let seconds = runs.iter().map(|run| run.by_second.len()).max();
    let at = |second: usize| runs.iter().filter_map(move |run| run.by_second.get(second));
    (0..seconds.unwrap_or_default())
        .map(|second| at(second).sum::<f64>() / runs.len() as f64)
        .collect()
}

/// The file of one measurement.
fn scenario(args: &LinksArgs, condition: &Condition, load: &str) -> anyhow::Result<String> {
    let (direction, count) = match load.split_once('-') {
        Some(("down", count)) => ("download", count),
        Some(("up", count)) => ("upload", count),
        _ => bail!("a load is `down-8` or `up-1`, not `{load}`"),
    };
    let count: u32 = count.parse().context("a load ends with a number")?;
    Ok(format!(
        "summary: {load} over {condition}\n\
         duration: {}s\n\
         settings: {}\n\
         agents: {{ ingress: {{ roles: [ingress] }}, exit: {{ roles: [exit] }} }}\n\
         links: [{{ between: [ingress, exit], condition: {condition} }}]\n\
         workload:\n  - {{ do: {direction}, count: {count} }}\n  \
         - {{ do: connect, every: 100ms, at: {}s }}\n",
        args.seconds,
        args.settings,
        LEAD.as_secs(),
    ))
}

fn figures(record: &Record, length: Duration) -> Figures {
    let arrivals = || record.flows.iter().flat_map(|flow| &flow.arrivals);
    let counted = arrivals().filter(|(at, _)| (LEAD..length).contains(at));
    let bytes: usize = counted.map(|(_, bytes)| bytes).sum();
    let mut by_second = vec![0.0; length.as_secs() as usize];
    for (at, bytes) in arrivals() {
        if let Some(second) = by_second.get_mut(at.as_secs() as usize) {
            *second += *bytes as f64 * 8e-6;
        }
    }
    let echoed = record.attempts.iter();
    let echoed = echoed.filter(|attempt| attempt.outcome == Outcome::Echoed);
    let waits: Vec<f64> = echoed.map(|attempt| in_millis(attempt.wait())).collect();
    Figures {
        mbit: bytes as f64 * 8e-6 / (length - LEAD).as_secs_f64(),
        by_second,
        wait_ms: Summary::of(&waits).map(|waits| waits.median),
        form_ms: in_millis(record.formed),
    }
}

fn text(rows: &[Row]) -> String {
    let head = ["", "load", "binary", "Mbit/s", "wait ms", "form ms"].map(str::to_owned);
    let spread = |it: &Summary| format!("{:.1} ({:.1}–{:.1})", it.median, it.min, it.max);
    let mut cells = vec![head.to_vec()];
    cells.extend(rows.iter().map(|row| {
        vec![
            row.condition.clone(),
            row.load.clone(),
            ["first", "against"][row.binary.min(1)].to_owned(),
            spread(&row.mbit),
            row.wait_ms.as_ref().map_or_else(String::new, spread),
            spread(&row.form_ms),
        ]
    }));
    table::text(&cells)
}

fn limit(text: &str) -> anyhow::Result<Limit> {
    let wrong = || format!("a limit is `lossy-wan/down-8/mbit>=75`, not `{text}`");
    let (what, least, value) = match (text.split_once(">="), text.split_once("<=")) {
        (Some((what, value)), _) => (what, true, value),
        (None, Some((what, value))) => (what, false, value),
        (None, None) => bail!(wrong()),
    };
    let parts: Vec<&str> = what.split('/').collect();
    let [condition, load, figure @ ("mbit" | "wait_ms" | "form_ms")] = parts[..] else {
        bail!(wrong());
    };
    Ok(Limit {
        condition: condition.to_owned(),
        load: load.to_owned(),
        figure: figure.to_owned(),
        least,
        value: value.parse().with_context(wrong)?,
    })
}

impl Limit {
    /// What was seen instead, of the first binary; a figure that was not measured is missed.
    fn missed(&self, rows: &[Row]) -> Option<String> {
        let name = format!("{}/{}/{}", self.condition, self.load, self.figure);
        let row = rows.iter().find(|row| {
            row.binary == 0 && row.condition == self.condition && row.load == self.load
        });
        let figure = row.and_then(|row| match self.figure.as_str() {
            "mbit" => Some(row.mbit.median),
            "wait_ms" => row.wait_ms.as_ref().map(|waits| waits.median),
            _ => Some(row.form_ms.median),
        });
        let Some(figure) = figure else {
            return Some(format!("{name} was not measured"));
        };
        let sign = if self.least { ">=" } else { "<=" };
        let holds = match self.least {
            true => figure >= self.value,
            false => figure <= self.value,
        };
        (!holds).then(|| format!("{name} is {figure:.1}, not {sign} {}", self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{End, Flow};
    use super::*;
    use crate::condition::CLEAR;

    fn row(mbit: f64) -> Row {
        let summary = |value: f64| Summary::of(&[value]).unwrap();
        Row {
            condition: "wan".to_owned(),
            load: "down-8".to_owned(),
            binary: 0,
            mbit: summary(mbit),
            wait_ms: None,
            form_ms: summary(100.0),
            by_second: Vec::new(),
        }
    }

    #[test]
    fn limits_hold_or_say_what_was_seen() {
        let least = limit("wan/down-8/mbit>=90").unwrap();
        assert_eq!(least.missed(&[row(90.0)]), None);
        let missed = least.missed(&[row(89.0)]).unwrap();
        assert_eq!(missed, "wan/down-8/mbit is 89.0, not >= 90");
        let wait = limit("wan/down-8/wait_ms<=250").unwrap();
        assert!(wait.missed(&[row(90.0)]).unwrap().contains("not measured"));
        assert_eq!(
            limit("wan/down-8/form_ms<=100")
                .unwrap()
                .missed(&[row(1.0)]),
            None
        );
        for wrong in [
            "wan/down-8/mbit",
            "wan/mbit>=1",
            "wan/a/speed>=1",
            "a/b/mbit>=x",
        ] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn throughput_is_what_arrived_between_the_lead_and_the_end() {
        let second = Duration::from_secs(1);
        let arrivals = [second, 3 * second, 9 * second, 11 * second];
        let flow = Flow {
            name: "download 1".to_owned(),
            bytes: 4_000_000,
            begun: Duration::ZERO,
            ended: 10 * second,
            over: 11 * second,
            end: End::Complete,
            arrivals: arrivals.map(|at| (at, 1_000_000)).to_vec(),
        };
        let record = Record {
            flows: vec![flow],
            ..Record::default()
        };
        let figures = figures(&record, 10 * second);
        assert_eq!(figures.mbit, 2.0);
        let by_second = [0.0, 8.0, 0.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0];
        assert_eq!(figures.by_second, by_second);
    }

    #[test]
    fn every_default_is_a_scenario() {
        let args = LinksArgs {
            conditions: Vec::new(),
            warren: None,
            against: None,
            loads: Vec::new(),
            repeats: 1,
            seconds: 10,
            settings: r#"{"connections":{"congestion":"cubic"}}"#.to_owned(),
            expect: Vec::new(),
            json: None,
        };
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("links.yaml");
        for condition in conditions(&[]).unwrap() {
            for load in ["down-1", "up-8"] {
                fs::write(&path, scenario(&args, &condition, load).unwrap()).unwrap();
                file::read(&path).unwrap_or_else(|bad| panic!("{bad}"));
            }
        }
        assert!(scenario(&args, &CLEAR, "sideways").is_err());
    }
}

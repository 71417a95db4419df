//! `warren explain`: why a destination goes where it goes.

use std::io::Write;

use clap::Args;

use super::client::ApiArgs;
use super::names::Names;
use super::table::{Column, Table, clean};
use super::text;
use super::{Console, Screen};
use crate::api::{CandidateView, ChosenView, Dest, ExplainView};

/// Shows every exit and path for an address or name, the one chosen, and why not each other one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    warren explain 10.0.0.1\n  \
    warren explain api.corp.example\n  \
    warren explain 2001:db8::1 --json | jq .chosen.path")]
pub struct ExplainArgs {
    /// An address, or a name that is resolved through the mesh.
    #[arg(value_name = "DEST")]
    dest: Dest,
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &ExplainArgs, console: &mut Console) -> anyhow::Result<()> {
    // A `Dest` has no character that a query would have to escape.
    let path = format!("/api/explain?dest={}", args.dest);
    args.api
        .tell(&path, console, |explained: ExplainView, screen, out| {
            print(&explained, args.api.names(), screen, out)
        })
}

fn print(
    explained: &ExplainView,
    names: Names,
    screen: Screen,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let dest = clean(&explained.dest);
    if let Some(ip) = explained.resolved {
        text::write_folded(
            "",
            &format!("{dest} has the address {ip}"),
            2,
            screen.prose,
            out,
        )?;
    }
    match &explained.chosen {
        Some(chosen) => print_chosen(&dest, chosen, &names, screen, out)?,
        None => {
            let none = "has no live route: connections to it are refused (SOCKS reply 0x03)";
            text::write_folded("", &format!("{dest} {none}"), 2, screen.prose, out)?;
        }
    }
    let lost = explained.candidates.iter();
    let lost: Vec<_> = lost.filter(|c| c.rejected.is_some()).collect();
    if lost.is_empty() {
        let none = if explained.candidates.is_empty() {
            "no exit advertises it"
        } else {
            "no other exit advertises it"
        };
        return writeln!(out, "{none}");
    }
    writeln!(out, "\nnot chosen:")?;
    print_rejected(&lost, &names.fitting(screen.table), screen, out)
}

fn print_chosen(
    dest: &str,
    chosen: &ChosenView,
    names: &Names,
    screen: Screen,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let headline = format!(
        "{dest} leaves the mesh at {}, metric {}, round trip {}",
        clean(&names.show(chosen.exit)),
        chosen.metric,
        text::millis(Some(chosen.rtt_ms)),
    );
    text::write_folded("", &headline, 2, screen.prose, out)?;
    if chosen.path.is_empty() {
        return writeln!(out, "this agent is the exit");
    }
    let mut hops = Table::new([
        Column::right("HOP"),
        Column::left("AGENT").cut(8),
        // The head of an id and an ellipsis.
        Column::left("ID").cut(9),
    ]);
    for (at, hop) in chosen.path.iter().enumerate() {
        hops.row([(at + 1).to_string(), names.show(*hop), hop.to_string()]);
    }
    hops.write(screen.table, out)
}

fn print_rejected(
    lost: &[&CandidateView],
    names: &Names,
    screen: Screen,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut table = Table::new([
        Column::left("EXIT").cut(8),
        Column::left("ADVERTISES").cut(10),
        Column::right("METRIC"),
        Column::left(names.path_title()).cut(8),
        Column::left("WHY NOT").fold(16),
    ]);
    for candidate in lost {
        let path = match candidate.path.as_slice() {
            [] => "-".to_owned(),
            hops => names.path(hops),
        };
        table.row([
            names.show(candidate.exit),
            candidate.prefix.clone(),
            candidate.metric.to_string(),
            path,
            text::or_dash(candidate.rejected.as_deref()),
        ]);
    }
    table.write(screen.table, out)
}

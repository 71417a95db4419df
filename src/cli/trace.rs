//! `warren trace`: the ways to a destination, hop by hop, with measured round trips.

use std::io::Write;

use clap::Args;

use super::client::ApiArgs;
use super::names::{Names, label};
use super::table::{Column, Table, clean};
use super::text;
use super::{Console, Screen};
use crate::api::{Dest, HopView, SessionView, TraceView};

/// Measures the path to an address or name hop by hop, and the one held ready.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    warren trace 10.0.0.1\n  \
    warren trace api.corp.example --json | jq '.path[].rtt_ms.avg'")]
pub struct TraceArgs {
    /// An address, or a name that is resolved through the mesh.
    #[arg(value_name = "DEST")]
    dest: Dest,
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &TraceArgs, console: &mut Console) -> anyhow::Result<()> {
    // A `Dest` has no character that a query would have to escape.
    let path = format!("/api/trace?dest={}", args.dest);
    args.api
        .tell(&path, console, |traced: TraceView, screen, out| {
            print(&traced, screen, out)
        })
}

fn print(traced: &TraceView, screen: Screen, out: &mut dyn Write) -> std::io::Result<()> {
    let dest = clean(&traced.dest);
    let Some(exit) = traced.exit else {
        let none = format!("{dest} has no live route; see `warren explain {dest}`");
        return text::write_folded("", &none, 2, screen.prose, out);
    };
    let name = traced
        .path
        .last()
        .and_then(|hop| hop.display_name.as_deref());
    let exit = clean(&label(name, exit));
    let headline = format!("{dest} leaves the mesh at {exit}");
    text::write_folded("", &headline, 2, screen.prose, out)?;
    if traced.path.is_empty() {
        return writeln!(out, "this agent is the exit");
    }
    print_hops(&traced.path, screen, out)?;
    match &traced.alternate {
        Some(alternate) => {
            writeln!(out, "\nheld ready:")?;
            print_hops(alternate, screen, out)?;
        }
        None => writeln!(out, "\nno other path leads there")?,
    }
    match &traced.session {
        Some(session) => print_session(session, traced, screen, out),
        None => writeln!(out, "\nno session is open"),
    }
}

fn print_session(
    session: &SessionView,
    traced: &TraceView,
    screen: Screen,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let ids = |hops: &[HopView]| hops.iter().map(|hop| hop.id).collect::<Vec<_>>();
    let rtt = text::millis(session.rtt_ms);
    let used = ids(&session.path);
    let alternate = traced.alternate.as_deref().map(ids);
    let lost = match session.probes_lost {
        0 => String::new(),
        lost => format!(", {lost} were lost so far"),
    };
    let (uses, is_other) = if used == ids(&traced.path) {
        ("it uses the path above", false)
    } else if Some(used) == alternate {
        ("it still uses the path held ready", false)
    } else {
        ("it still uses:", true)
    };
    let line = format!("the open session's last probe took {rtt}{lost}; {uses}");
    writeln!(out)?;
    text::write_folded("", &line, 2, screen.prose, out)?;
    if is_other {
        print_hops(&session.path, screen, out)?;
    }
    match (session.suspect, session.mirroring) {
        (true, true) => writeln!(out, "it doubts that path and sends along its alternate too"),
        (true, false) => writeln!(out, "it doubts that path and has no other"),
        (false, _) => Ok(()),
    }
}

fn print_hops(hops: &[HopView], screen: Screen, out: &mut dyn Write) -> std::io::Result<()> {
    let mut table = Table::new([
        Column::right("HOP"),
        Column::left("AGENT").cut(10),
        Column::right("MIN").spare(2),
        Column::right("AVG"),
        Column::right("MAX").spare(1),
        Column::right("LOST"),
        Column::left("NOTE").fold(8),
    ]);
    let named = hops
        .iter()
        .filter_map(|hop| Some((hop.id, hop.display_name.clone()?)));
    let names = Names::of(named).fitting(screen.table);
    for (at, hop) in hops.iter().enumerate() {
        let note = match (hop.suspect, hop.draining) {
            (true, true) => "suspect, draining",
            (true, false) => "suspect",
            (false, true) => "draining",
            (false, false) => "",
        };
        table.row([
            (at + 1).to_string(),
            names.show(hop.id),
            text::millis(hop.rtt_ms.map(|rtt| rtt.min)),
            text::millis(hop.rtt_ms.map(|rtt| rtt.avg)),
            text::millis(hop.rtt_ms.map(|rtt| rtt.max)),
            format!("{}/{}", hop.lost, hop.sent),
            note.to_owned(),
        ]);
    }
    table.write(screen.table, out)
}

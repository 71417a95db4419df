//! `warren trace`: the ways to a destination, hop by hop, with measured round trips.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::client::ApiArgs;
use super::names::label;
use super::table::{Align, Table, clean};
use super::text;
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

pub(super) fn run(args: &TraceArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    // A `Dest` has no character that a query would have to escape.
    let path = format!("/api/trace?dest={}", args.dest);
    if args.api.json {
        let traced: Value = args.api.fetch(&path)?;
        return text::write_json(&traced, out);
    }
    let traced: TraceView = args.api.fetch(&path)?;
    print(&traced, out).context("cannot write the output")
}

fn print(traced: &TraceView, out: &mut dyn Write) -> std::io::Result<()> {
    let dest = clean(&traced.dest);
    let Some(exit) = traced.exit else {
        return writeln!(out, "{dest} has no live route; see `warren explain {dest}`");
    };
    let name = traced
        .path
        .last()
        .and_then(|hop| hop.display_name.as_deref());
    let exit = clean(&label(name, exit));
    writeln!(out, "{dest} leaves the mesh at {exit}")?;
    if traced.path.is_empty() {
        return writeln!(out, "this agent is the exit");
    }
    print_hops(&traced.path, out)?;
    match &traced.alternate {
        Some(alternate) => {
            writeln!(out, "\nheld ready:")?;
            print_hops(alternate, out)?;
        }
        None => writeln!(out, "\nno other path leads there")?,
    }
    match &traced.session {
        Some(session) => print_session(session, traced, out),
        None => writeln!(out, "\nno session is open"),
    }
}

fn print_session(
    session: &SessionView,
    traced: &TraceView,
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
    write!(out, "\nthe open session's last probe took {rtt}{lost}; ")?;
    if used == ids(&traced.path) {
        writeln!(out, "it uses the path above")?;
    } else if Some(used) == alternate {
        writeln!(out, "it still uses the path held ready")?;
    } else {
        writeln!(out, "it still uses:")?;
        print_hops(&session.path, out)?;
    }
    match (session.suspect, session.mirroring) {
        (true, true) => writeln!(out, "it doubts that path and sends along its alternate too"),
        (true, false) => writeln!(out, "it doubts that path and has no other"),
        (false, _) => Ok(()),
    }
}

fn print_hops(hops: &[HopView], out: &mut dyn Write) -> std::io::Result<()> {
    let mut table = Table::new([
        ("HOP", Align::Right),
        ("AGENT", Align::Left),
        ("MIN", Align::Right),
        ("AVG", Align::Right),
        ("MAX", Align::Right),
        ("LOST", Align::Right),
        ("NOTE", Align::Left),
    ]);
    for (at, hop) in hops.iter().enumerate() {
        let note = match (hop.suspect, hop.draining) {
            (true, true) => "suspect, draining",
            (true, false) => "suspect",
            (false, true) => "draining",
            (false, false) => "",
        };
        table.row([
            (at + 1).to_string(),
            label(hop.display_name.as_deref(), hop.id),
            text::millis(hop.rtt_ms.map(|rtt| rtt.min)),
            text::millis(hop.rtt_ms.map(|rtt| rtt.avg)),
            text::millis(hop.rtt_ms.map(|rtt| rtt.max)),
            format!("{}/{}", hop.lost, hop.sent),
            note.to_owned(),
        ]);
    }
    table.write(out)
}

//! Tables for people, JSON for programs, a picture for the page.

use std::fs;

use anyhow::Context;
use internal_chaos::table;

use crate::args::Args;
use crate::figures::{Event, Figures, Single, Start};
use crate::plot;

/// Prints the tables.
pub(crate) fn print(figures: &Figures) {
    println!("\n{}\n", figures.heading.join("\n"));
    for rows in tables(figures) {
        println!("{}", table::text(&rows));
    }
}

/// Writes what was asked for, as far as it is known.
pub(crate) fn write(args: &Args, figures: &Figures) -> anyhow::Result<()> {
    let mut page = format!("{}  \n\n", figures.heading.join("  \n"));
    for rows in &tables(figures) {
        page.push_str(&table::markdown(rows));
        page.push('\n');
    }
    if !figures.cold_sync_s.is_empty() {
        let seconds = &figures.cold_sync_s;
        page.push_str(&format!(
            "Two real agents, 100,000 prefixes, link up to all in `/api/routes`: {seconds:.2?} s.\n"
        ));
    }
    for reason in &figures.stopped {
        page.push_str(&format!("Stopped: {reason}.\n"));
    }
    if let Some(path) = &args.markdown {
        fs::write(path, page).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(figures)?;
        fs::write(path, json).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &args.svg {
        fs::write(path, plot::svg(figures)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn tables(figures: &Figures) -> Vec<Vec<Vec<String>>> {
    let mut tables = vec![
        events(&figures.events),
        starts(&figures.starts),
        singles(&figures.singles),
    ];
    tables.retain(|rows| rows.len() > 1);
    tables
}

fn events(events: &[Event]) -> Vec<Vec<String>> {
    let head = [
        "event",
        "agents",
        "form",
        "times",
        "median, ms",
        "p99, ms",
        "last, ms",
        "slowest, ms",
        "above floor, ms",
        "messages",
        "KB",
    ];
    let row = |event: &Event| {
        vec![
            event.what.to_string(),
            event.agents.to_string(),
            event.form.to_string(),
            event.count.to_string(),
            figure(event.median_ms),
            figure(event.p99_ms),
            format!("{:.0}", event.last_ms),
            format!("{:.0}", event.slowest_ms),
            figure(event.above_floor_ms),
            event.messages.to_string(),
            (event.bytes / 1000).to_string(),
        ]
    };
    rows(&head, events.iter().map(row))
}

fn starts(starts: &[Start]) -> Vec<Vec<String>> {
    let head = [
        "cold start, agents",
        "after the last link, ms",
        "messages",
        "MB",
        "resident, KB an agent",
        "simulated in, s",
    ];
    let row = |start: &Start| {
        vec![
            start.agents.to_string(),
            format!("{:.0}", start.converged_ms),
            start.messages.to_string(),
            (start.bytes / 1_000_000).to_string(),
            (start.resident_per_agent / 1000).to_string(),
            format!("{:.1}", start.real_s),
        ]
    };
    rows(&head, starts.iter().map(row))
}

fn singles(singles: &[Single]) -> Vec<Vec<String>> {
    let head = [
        "one core, agents",
        "links as sent, KB",
        "resident, KB",
        "with 100,000 prefixes, KB",
        "graph, ms",
        "paths, ms",
        "prefix tables, ms",
    ];
    let row = |single: &Single| {
        vec![
            single.agents.to_string(),
            (single.wire_bytes / 1000).to_string(),
            (single.resident_bytes / 1000).to_string(),
            (single.resident_with_prefixes / 1000).to_string(),
            format!("{:.2}", single.graph_ms),
            format!("{:.2}", single.paths_ms),
            format!("{:.1}", single.tables_ms),
        ]
    };
    rows(&head, singles.iter().map(row))
}

/// A dash where nothing was measured.
fn figure(ms: f64) -> String {
    if ms == 0.0 {
        "–".to_owned()
    } else {
        format!("{ms:.0}")
    }
}

fn rows(head: &[&str], body: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let head = head.iter().map(|title| (*title).to_owned()).collect();
    std::iter::once(head).chain(body).collect()
}

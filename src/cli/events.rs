//! `warren events`: what happened lately to a running agent.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::Console;
use super::client::ApiArgs;
use super::console::reader_leaves_within;
use super::names::Names;
use super::table::clean;
use super::text;
use crate::api::EventView;
use crate::record::{Event, Failover, Side};

/// How often new events are asked for: soon enough for a person, nothing for the agent.
const INTERVAL: Duration = Duration::from_secs(1);

/// Shows failovers, links and sessions that came and went, and health checks, newest last.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    warren events\n  \
    warren events --follow\n  \
    warren events --json | jq '.[] | select(.kind == \"failover\")'")]
pub struct EventsArgs {
    /// Leaves out what has this number or a lower one.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    since: u64,
    /// Waits for further events until it is stopped; with --json, one object per line.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &EventsArgs, console: &mut Console) -> anyhow::Result<()> {
    let width = args.api.screen(console).prose;
    let out = &mut *console.out;
    if args.follow {
        return follow(args, width, out);
    }
    if args.api.json {
        let events: Value = args.api.fetch(&path(args.since))?;
        return text::write_json(&events, out);
    }
    let events: Vec<EventView> = args.api.fetch(&path(args.since))?;
    if events.is_empty() {
        return writeln!(out, "no events").context("cannot write the output");
    }
    print(&events, &args.api.names().fitting(width), width, out).context("cannot write the output")
}

fn path(since: u64) -> String {
    format!("/api/events?since={since}")
}

/// Ends when the agent does, or the reader.
fn follow(args: &EventsArgs, width: usize, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut since = args.since;
    loop {
        let events: Vec<Value> = args.api.fetch(&path(since))?;
        let numbers = events.iter().filter_map(|event| event["number"].as_u64());
        let news = numbers.max();
        if args.api.json {
            for event in &events {
                writeln!(out, "{event}").context("cannot write the output")?;
            }
        } else if news.is_some() {
            let views = events.into_iter().map(serde_json::from_value);
            let views: Vec<EventView> = views
                .collect::<Result<_, _>>()
                .context("the agent's events are not those of a warren agent of this version")?;
            // Asked for again: an agent that is news may not have been known before.
            print(&views, &args.api.names().fitting(width), width, out)
                .context("cannot write the output")?;
        }
        out.flush().context("cannot write the output")?;
        since = news.unwrap_or(since);
        if reader_leaves_within(INTERVAL) {
            return Ok(());
        }
    }
}

fn print(
    events: &[EventView],
    names: &Names,
    width: usize,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    for event in events {
        let EventView {
            number, at, what, ..
        } = event;
        let at = text::time(at, width);
        let line = clean(&format!("{at}  #{number}  {}", sentence(what, names)));
        text::write_folded("", &line, 2, width, out)?;
    }
    Ok(())
}

fn sentence(what: &Event, names: &Names) -> String {
    match what {
        Event::LinkUp { peer } => format!("link up: {}", names.show(*peer)),
        Event::LinkSuspect { peer } => format!("link suspect: {}", names.show(*peer)),
        Event::LinkCleared { peer } => format!("link heard again: {}", names.show(*peer)),
        Event::LinkDown { peer, reason } => {
            format!("link down: {}: {reason}", names.show(*peer))
        }
        Event::SessionOpened { side, peer } => {
            format!(
                "session opened {} {}",
                preposition(*side),
                names.show(*peer)
            )
        }
        Event::SessionEnded { side, peer, reason } => {
            let peer = names.show(*peer);
            format!("session ended {} {peer}: {reason}", preposition(*side))
        }
        Event::Failover(failover) => moved(failover, names),
        Event::Recovered { failover, stall } => {
            let stall = text::time_ms(Some(*stall));
            format!("recovered from #{failover} after a stall of {stall}")
        }
        Event::HealthDown {
            check,
            reason,
            routes,
            route_count,
        } => {
            let routes = listed(routes, *route_count);
            format!("health check down: {check}: {reason}; withdrawn: {routes}")
        }
        Event::HealthUp {
            check,
            routes,
            route_count,
        } => {
            let routes = listed(routes, *route_count);
            format!("health check up: {check}; advertised: {routes}")
        }
        Event::ClockSkew { peer, ahead_ms } => {
            let (seconds, direction) = seconds(*ahead_ms, ["ahead of", "behind"]);
            let peer = names.show(*peer);
            format!("clock skew: {peer} is {seconds} s {direction} this host")
        }
        Event::ClockSet { ahead_ms } => {
            let (seconds, direction) = seconds(*ahead_ms, ["ahead", "back"]);
            format!("this host's clock was set {seconds} s {direction}")
        }
        Event::Unknown => "an event that this release of the command does not know".to_owned(),
    }
}

/// Rounded, and which way.
fn seconds(ahead_ms: i64, [ahead, behind]: [&'static str; 2]) -> (u64, &'static str) {
    let seconds = ahead_ms.unsigned_abs().saturating_add(500) / 1_000;
    (seconds, if ahead_ms < 0 { behind } else { ahead })
}

/// The first routes of `count`.
fn listed(routes: &[String], count: usize) -> String {
    let named = routes.join(", ");
    match count - routes.len().min(count) {
        0 if routes.is_empty() => "nothing".to_owned(),
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// An ingress opens sessions to exits, and an exit has them from ingresses.
fn preposition(side: Side) -> &'static str {
    match side {
        Side::Ingress => "to",
        Side::Exit => "from",
    }
}

fn moved(failover: &Failover, names: &Names) -> String {
    format!(
        "failover {} {}: {}, detected {}, stalled {}, {} in flight; {} -> {}",
        preposition(failover.side),
        names.show(failover.peer),
        failover.cause.as_str(),
        text::time_ms(failover.detected),
        text::time_ms(failover.stall),
        text::bytes(failover.in_flight),
        names.path(&failover.from),
        names.path(&failover.to),
    )
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn routes_are_listed_as_far_as_they_are_named() {
        let two = ["10.0.0.0/8".to_owned(), "*.corp.example".to_owned()];
        assert_eq!(listed(&two, 2), "10.0.0.0/8, *.corp.example");
        assert_eq!(listed(&two, 5), "10.0.0.0/8, *.corp.example and 3 more");
        assert_eq!(listed(&[], 0), "nothing");
    }
}

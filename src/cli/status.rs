//! `warren status`: how a running agent is.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use hyper::StatusCode;
use serde_json::Value;

use super::client::ApiArgs;
use super::console::WIDE;
use super::names::label;
use super::table::{Column, Table, clean};
use super::text;
use super::{Console, Screen};
use crate::api::{EventView, Health, Status};
use crate::record::{Event, Failover};

pub(super) const PATH: &str = "/healthz";

/// Failovers shown; `warren events` has the others.
const FAILOVERS: usize = 5;

/// Where the values of the sheet begin.
const INDENT: usize = 10;

/// Shows whether a running agent can carry traffic, what is wrong if not, and its last failovers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    warren status\n  \
    warren status --api http://gw-1:8080 --json | jq .reasons")]
pub struct StatusArgs {
    #[command(flatten)]
    api: ApiArgs,
}

/// Prints the status on the console. An agent that cannot carry traffic is an answer, not a failure.
pub(super) fn run(args: &StatusArgs, console: &mut Console) -> anyhow::Result<()> {
    if args.api.json {
        let health: Value = args.api.fetch_if(PATH, is_health)?;
        return text::write_json(&health, &mut *console.out);
    }
    let health: Health = args.api.fetch_if(PATH, is_health)?;
    let failovers = failovers(&args.api);
    let screen = args.api.screen(console);
    let out = &mut *console.out;
    print(&health, screen, out)
        .and_then(|()| print_failovers(&failovers, &args.api, screen, out))
        .context("cannot write the output")
}

/// When the latest failovers were, and what they were; none if the agent does not tell, because
/// health is for anyone and events are not.
fn failovers(api: &ApiArgs) -> Vec<(String, Failover)> {
    let events: Vec<EventView> = api.fetch("/api/events").unwrap_or_default();
    let failovers = events
        .into_iter()
        .rev()
        .filter_map(|event| match event.what {
            Event::Failover(failover) => Some((event.at, failover)),
            _ => None,
        });
    failovers.take(FAILOVERS).collect()
}

pub(super) fn is_health(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE)
}

fn print(health: &Health, screen: Screen, out: &mut dyn Write) -> std::io::Result<()> {
    let status = match health.status {
        Status::Healthy => "healthy",
        Status::Degraded => "degraded",
        Status::Draining => "draining",
        Status::Unavailable => "unavailable",
    };
    let name = label(Some(&health.display_name), health.agent_id);
    let running = |running: bool| if running { "running" } else { "off" };
    writeln!(out, "status:   {status}")?;
    for reason in &health.reasons {
        text::write_folded(
            &" ".repeat(INDENT),
            &clean(reason),
            INDENT,
            screen.prose,
            out,
        )?;
    }
    text::write_folded("agent:    ", &clean(&name), INDENT, screen.prose, out)?;
    writeln!(out, "id:       {}", health.agent_id)?;
    writeln!(out, "version:  {}", clean(&health.version))?;
    writeln!(out, "uptime:   {}", text::duration(health.uptime_s))?;
    writeln!(out, "links:    {}", health.peers)?;
    writeln!(out, "routes:   {}", health.routes)?;
    writeln!(out, "streams:  {}", health.streams)?;
    writeln!(out, "socks5:   {}", running(health.socks5_running))?;
    writeln!(out, "exit:     {}", running(health.exit_handler_running))
}

fn print_failovers(
    failovers: &[(String, Failover)],
    api: &ApiArgs,
    screen: Screen,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if failovers.is_empty() {
        return Ok(());
    }
    let names = api.names().fitting(screen.table);
    writeln!(out, "\nlast failovers:")?;
    let mut table = Table::new([
        Column::left("TIME"),
        Column::left("CAUSE"),
        Column::left("SESSION WITH").cut(12),
        Column::right("DETECTED"),
        Column::right("STALLED"),
        Column::right("IN FLIGHT").spare(2),
        Column::left(if screen.table == WIDE {
            "NEW PATH"
        } else {
            "NOW VIA"
        })
        .cut(8)
        .spare(1),
    ]);
    for (at, failover) in failovers {
        table.row([
            text::time(at, screen.table),
            failover.cause.as_str().to_owned(),
            names.show(failover.peer),
            text::time_ms(failover.detected),
            text::time_ms(failover.stall),
            text::bytes(failover.in_flight),
            names.path(&failover.to),
        ]);
    }
    table.write(screen.table, out)
}

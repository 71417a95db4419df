//! `warren status`: how a running agent is.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use hyper::StatusCode;
use serde_json::Value;

use super::client::ApiArgs;
use super::names::label;
use super::table::clean;
use super::text;
use crate::api::{Health, Status};

const PATH: &str = "/healthz";

/// Shows whether a running agent can carry traffic, and what is wrong if not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    warren status\n  \
    warren status --api http://gw-1:8080 --json | jq .reasons")]
pub struct StatusArgs {
    #[command(flatten)]
    api: ApiArgs,
}

/// Prints the status on `out`. An agent that cannot carry traffic is an answer, not a failure.
pub(super) fn run(args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.api.json {
        let health: Value = args.api.fetch_if(PATH, is_health)?;
        return text::write_json(&health, out);
    }
    let health: Health = args.api.fetch_if(PATH, is_health)?;
    print(&health, out).context("cannot write the output")
}

fn is_health(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE)
}

fn print(health: &Health, out: &mut dyn Write) -> std::io::Result<()> {
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
        writeln!(out, "          {}", clean(reason))?;
    }
    writeln!(out, "agent:    {}", clean(&name))?;
    writeln!(out, "id:       {}", health.agent_id)?;
    writeln!(out, "version:  {}", clean(&health.version))?;
    writeln!(out, "uptime:   {}", text::duration(health.uptime_s))?;
    writeln!(out, "links:    {}", health.peers)?;
    writeln!(out, "routes:   {}", health.routes)?;
    writeln!(out, "streams:  {}", health.streams)?;
    writeln!(out, "socks5:   {}", running(health.socks5_running))?;
    writeln!(out, "exit:     {}", running(health.exit_handler_running))
}

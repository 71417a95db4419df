//! `warren routes`: what a running agent can reach, and how.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::client::ApiArgs;
use super::names::{Names, label};
use super::table::{Align, Table};
use super::text;
use crate::api::RouteView;

const PATH: &str = "/api/routes";

/// Lists prefixes and domains with their exits, the path in use and the one held ready.
#[derive(Debug, Args)]
#[command(
    after_help = "The exit that new connections take is marked with `*`.\n\n\
    Examples:\n  \
    warren routes\n  \
    warren routes --json | jq -r '.[] | select(.alternate == null) | .destination'"
)]
pub struct RoutesArgs {
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &RoutesArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.api.json {
        let routes: Value = args.api.fetch(PATH)?;
        return text::write_json(&routes, out);
    }
    let routes: Vec<RouteView> = args.api.fetch(PATH)?;
    print(routes, &args.api.names(), out).context("cannot write the output")
}

fn print(routes: Vec<RouteView>, names: &Names, out: &mut dyn Write) -> std::io::Result<()> {
    if routes.is_empty() {
        return writeln!(out, "no routes: no exit is reachable");
    }
    let mut table = Table::new([
        ("", Align::Left),
        ("DESTINATION", Align::Left),
        ("EXIT", Align::Left),
        ("METRIC", Align::Right),
        ("RTT", Align::Right),
        ("PATH", Align::Left),
        ("ALTERNATE", Align::Left),
    ]);
    for route in routes {
        table.row([
            if route.chosen { "*" } else { "" }.to_owned(),
            route.destination,
            label(Some(&route.exit_name), route.exit),
            route.metric.to_string(),
            text::millis(route.rtt_ms),
            names.path(&route.path),
            text::or_dash(route.alternate.map(|path| names.path(&path))),
        ]);
    }
    table.write(out)
}

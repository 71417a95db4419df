//! `warren routes`: what a running agent can reach, and how.

use std::io::Write;

use clap::Args;

use super::client::ApiArgs;
use super::names::Names;
use super::table::{Column, Table};
use super::text;
use super::{Console, Screen};
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

pub(super) fn run(args: &RoutesArgs, console: &mut Console) -> anyhow::Result<()> {
    args.api.tell(PATH, console, |routes, screen, out| {
        let names = args.api.names().fitting(screen.table);
        print(routes, &names, screen, out)
    })
}

fn print(
    routes: Vec<RouteView>,
    names: &Names,
    screen: Screen,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if routes.is_empty() {
        return writeln!(out, "no routes: no exit is reachable");
    }
    let mut table = Table::new([
        Column::left(""),
        Column::left("DESTINATION").cut(12),
        Column::left("EXIT").cut(8),
        Column::right("METRIC").spare(1),
        Column::right("RTT").spare(2),
        Column::left(names.path_title()).cut(8),
        Column::left("ALTERNATE").cut(8),
    ]);
    for route in routes {
        table.row([
            if route.chosen { "*" } else { "" }.to_owned(),
            route.destination,
            names.show(route.exit),
            route.metric.to_string(),
            text::millis(route.rtt_ms),
            names.path(&route.path),
            text::or_dash(route.alternate.map(|path| names.path(&path))),
        ]);
    }
    table.write(screen.table, out)
}

//! `warren streams`: the connections that a running agent carries as ingress or exit.

use std::io::Write;

use clap::Args;

use super::client::ApiArgs;
use super::names::Names;
use super::table::{Column, Table};
use super::text;
use super::{Console, Screen};
use crate::api::StreamView;

const PATH: &str = "/api/streams";

/// Lists the proxied connections that end at this agent. A transit knows none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    warren streams\n  \
    warren streams --json | jq 'map(.bytes_down) | add'")]
pub struct StreamsArgs {
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &StreamsArgs, console: &mut Console) -> anyhow::Result<()> {
    args.api.tell(PATH, console, |streams, screen, out| {
        let names = args.api.names().fitting(screen.table);
        print(streams, &names, screen, out)
    })
}

fn print(
    streams: Vec<StreamView>,
    names: &Names,
    screen: Screen,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if streams.is_empty() {
        return writeln!(out, "no streams");
    }
    let mut table = Table::new([
        Column::right("STREAM"),
        Column::left("CLIENT").cut(10).spare(2),
        Column::left("TARGET").cut(14),
        Column::left("INGRESS").cut(7).spare(3),
        Column::left("EXIT").cut(7),
        Column::right("AGE"),
        Column::right("SENT"),
        Column::right("RECEIVED"),
        Column::left(names.path_title()).cut(8).spare(1),
    ]);
    for stream in streams {
        table.row([
            stream.id.to_string(),
            text::or_dash(stream.client),
            stream.target,
            names.show(stream.ingress),
            names.show(stream.exit),
            text::duration(stream.age_s),
            text::bytes(stream.bytes_up),
            text::bytes(stream.bytes_down),
            names.path(&stream.path),
        ]);
    }
    table.write(screen.table, out)
}

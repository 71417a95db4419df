//! `warren streams`: the connections that a running agent carries as ingress or exit.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::client::ApiArgs;
use super::names::Names;
use super::table::{Align, Table};
use super::text;
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

pub(super) fn run(args: &StreamsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.api.json {
        let streams: Value = args.api.fetch(PATH)?;
        return text::write_json(&streams, out);
    }
    let streams: Vec<StreamView> = args.api.fetch(PATH)?;
    print(streams, &args.api.names(), out).context("cannot write the output")
}

fn print(streams: Vec<StreamView>, names: &Names, out: &mut dyn Write) -> std::io::Result<()> {
    if streams.is_empty() {
        return writeln!(out, "no streams");
    }
    let mut table = Table::new([
        ("STREAM", Align::Right),
        ("CLIENT", Align::Left),
        ("TARGET", Align::Left),
        ("INGRESS", Align::Left),
        ("EXIT", Align::Left),
        ("AGE", Align::Right),
        ("SENT", Align::Right),
        ("RECEIVED", Align::Right),
        ("PATH", Align::Left),
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
    table.write(out)
}

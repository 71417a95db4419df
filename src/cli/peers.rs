//! `warren peers`: the links of a running agent.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::client::ApiArgs;
use super::table::{Align, Table};
use super::text;
use crate::api::{Direction, PeerState, PeerView};

const PATH: &str = "/api/peers";

/// Lists configured peers and accepted links: state, round trip, cost.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    warren peers\n  \
    warren peers --json | jq -r '.[] | select(.state != \"up\") | .id'")]
pub struct PeersArgs {
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &PeersArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.api.json {
        let peers: Value = args.api.fetch(PATH)?;
        return text::write_json(&peers, out);
    }
    let peers: Vec<PeerView> = args.api.fetch(PATH)?;
    print(peers, out).context("cannot write the output")
}

fn print(peers: Vec<PeerView>, out: &mut dyn Write) -> std::io::Result<()> {
    if peers.is_empty() {
        return writeln!(out, "no peers: none are configured and nobody has dialled");
    }
    let mut table = Table::new([
        ("NAME", Align::Left),
        ("ID", Align::Left),
        ("STATE", Align::Left),
        ("ADDRESS", Align::Left),
        ("FROM", Align::Left),
        ("RTT", Align::Right),
        ("COST", Align::Right),
        ("MTU", Align::Right),
        ("UP", Align::Right),
        ("LAST ERROR", Align::Left),
    ]);
    for peer in peers {
        table.row([
            text::or_dash(peer.display_name),
            peer.id.to_string(),
            state(peer.state).to_owned(),
            peer.address,
            match peer.direction {
                Direction::Dialled => "us",
                Direction::Accepted => "them",
            }
            .to_owned(),
            text::millis(peer.rtt_ms),
            peer.cost.to_string(),
            text::or_dash(peer.mtu),
            text::or_dash(peer.uptime_s.map(text::duration)),
            text::or_dash(peer.last_error),
        ]);
    }
    table.write(out)
}

fn state(state: PeerState) -> &'static str {
    match state {
        PeerState::Up => "up",
        PeerState::Suspect => "suspect",
        PeerState::Down => "down",
        PeerState::Connecting => "connecting",
    }
}

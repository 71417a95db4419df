//! `warren peers`: the links of a running agent.

use std::io::Write;

use clap::Args;

use super::client::ApiArgs;
use super::console::WIDE;
use super::names::label;
use super::table::{Column, Table, clean};
use super::text;
use super::{Console, Screen};
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

pub(super) fn run(args: &PeersArgs, console: &mut Console) -> anyhow::Result<()> {
    args.api
        .tell(PATH, console, |peers: Vec<PeerView>, screen, out| {
            print(&peers, screen, out)
        })
}

fn print(peers: &[PeerView], screen: Screen, out: &mut dyn Write) -> std::io::Result<()> {
    if peers.is_empty() {
        return writeln!(out, "no peers: none are configured and nobody has dialled");
    }
    if screen.table == WIDE {
        return print_wide(peers, out);
    }
    let mut table = Table::new([
        Column::left("NAME").cut(6),
        // The head of an id and an ellipsis.
        Column::left("ID").cut(9),
        Column::left("STATE"),
        Column::left("ADDRESS").cut(9),
        Column::left("FROM").spare(3),
        Column::right("RTT"),
        Column::right("COST").spare(1),
        Column::right("MTU").spare(2),
        Column::right("UP"),
    ]);
    for peer in peers {
        table.row(cells(peer));
    }
    table.write(screen.table, out)?;
    let mut failed = peers.iter().filter_map(|peer| {
        let error = peer.last_error.as_deref()?;
        Some((label(peer.display_name.as_deref(), peer.id), error))
    });
    let Some(first) = failed.next() else {
        return Ok(());
    };
    writeln!(out, "\nlast errors:")?;
    for (peer, error) in std::iter::once(first).chain(failed) {
        let line = clean(&format!("{peer}: {error}"));
        text::write_folded("", &line, 2, screen.prose, out)?;
    }
    Ok(())
}

/// A line for each, with its last error.
fn print_wide(peers: &[PeerView], out: &mut dyn Write) -> std::io::Result<()> {
    let mut table = Table::new([
        Column::left("NAME"),
        Column::left("ID"),
        Column::left("STATE"),
        Column::left("ADDRESS"),
        Column::left("FROM"),
        Column::right("RTT"),
        Column::right("COST"),
        Column::right("MTU"),
        Column::right("UP"),
        Column::left("LAST ERROR"),
    ]);
    for peer in peers {
        let [name, id, state, address, from, rtt, cost, mtu, up] = cells(peer);
        let error = text::or_dash(peer.last_error.as_deref());
        table.row([name, id, state, address, from, rtt, cost, mtu, up, error]);
    }
    table.write(WIDE, out)
}

fn cells(peer: &PeerView) -> [String; 9] {
    let from = match peer.direction {
        Direction::Dialled => "us",
        Direction::Accepted => "them",
    };
    [
        text::or_dash(peer.display_name.as_deref()),
        peer.id.to_string(),
        state(peer.state).to_owned(),
        peer.address.clone(),
        from.to_owned(),
        text::millis(peer.rtt_ms),
        peer.cost.to_string(),
        text::or_dash(peer.mtu),
        text::or_dash(peer.uptime_s.map(text::duration)),
    ]
}

fn state(state: PeerState) -> &'static str {
    match state {
        PeerState::Up => "up",
        PeerState::Suspect => "suspect",
        PeerState::Down => "down",
        PeerState::Connecting => "connecting",
    }
}

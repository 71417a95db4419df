//! `internal-chaos relay`.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::control::{Command, refusal};
use super::{Options, Relay};
use crate::condition::Condition;
use crate::report::print;

/// Put an impaired link between two agents, and change it while it runs.
///
/// The agent that dials has the relay's address in `peers`. Commands are read from stdin, one a
/// line: `condition NAME`, `set WAYS JSON`, `cut WAYS`, `heal`, `rebind`, `rule JSON`, `remove N`,
/// `show`, `counters`, `quit`; WAYS is to-server, to-client or both. Each is answered by one line
/// of JSON. When stdin ends, the relay goes on until a signal ends it.
#[derive(Debug, Args)]
pub struct RelayArgs {
    /// Where the dialling agent finds the relay; port 0 picks one, which is printed.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The agent behind it.
    #[arg(long, value_name = "ADDRESS")]
    to: SocketAddr,
    /// One of `internal-chaos conditions`.
    #[arg(long, default_value = "clear")]
    condition: Condition,
    /// Of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Allow addresses beyond loopback; whoever reaches the relay may use it.
    #[arg(long)]
    allow_non_loopback: bool,
}

/// Relays until it is told to end.
pub async fn run(args: &RelayArgs) -> anyhow::Result<()> {
    let relay = Relay::start(&Options {
        listen: args.listen,
        server: args.to,
        condition: args.condition,
        seed: args.seed,
        allow_non_loopback: args.allow_non_loopback,
    })?;
    tell(&json!({
        "listen": relay.address(),
        "to": args.to,
        "condition": args.condition,
        "seed": args.seed,
    }))?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.context("cannot read commands")? {
        if line.trim().is_empty() {
            continue;
        }
        match line.parse::<Command>() {
            Ok(command) => {
                tell(&relay.execute(command.clone()))?;
                if command == Command::Quit {
                    return Ok(());
                }
            }
            Err(error) => tell(&refusal(&error.to_string()))?,
        }
    }
    // Started without a terminal: a signal ends it.
    std::future::pending().await
}

fn tell(answer: &Value) -> anyhow::Result<()> {
    print(&format!("{answer}\n"))
}

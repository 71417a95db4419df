//! `warren route`: the routes of an exit while it runs.

use std::io::Write;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::client::ApiArgs;
use super::table::clean;
use super::{Console, text};
use crate::api::{AdvertiseAnswer, AdvertiseStatus};

const PATH: &str = "/api/routes/advertise";

/// Changes the routes of a running exit, beside those of its file.
#[derive(Debug, Args)]
#[command(
    after_help = "What is added counts until the agent ends, or with --save after its next start, too. A route of \
    the file is taken out there, and by `warren reload`.\n\n\
    Exit code: 0 if the routes are as was asked for, 1 if nothing was changed.\n\n\
    Examples:\n  \
    warren route add 10.2.0.0/16\n  \
    warren route add '*.corp.example' --save\n  \
    warren route remove 10.2.0.0/16\n  \
    warren route list"
)]
pub struct RouteArgs {
    #[command(subcommand)]
    command: RouteCommand,
}

#[derive(Debug, Subcommand)]
enum RouteCommand {
    /// Advertise more routes
    Add(ChangeArgs),
    /// Withdraw routes that were added
    Remove(ChangeArgs),
    /// List the exit's routes and where they are from
    List(ListArgs),
}

#[derive(Debug, Args)]
struct ChangeArgs {
    /// Prefixes and names, as in `exit.routes` and `exit.domain_routes`
    #[arg(value_name = "CIDR|NAME", required = true)]
    routes: Vec<String>,
    /// For the agent's next start, too
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    api: ApiArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    api: ApiArgs,
}

/// Prints what the agent says of it.
pub(super) fn run(args: &RouteArgs, console: &mut Console) -> anyhow::Result<()> {
    match &args.command {
        RouteCommand::Add(args) => change(args, Method::POST, console),
        RouteCommand::Remove(args) => change(args, Method::DELETE, console),
        RouteCommand::List(args) => list(&args.api, console),
    }
}

fn change(args: &ChangeArgs, method: Method, console: &mut Console) -> anyhow::Result<()> {
    let body = json!({ "routes": args.routes, "save": args.save });
    let answer: Value = args.api.change(method, PATH, &body, is_answer)?;
    let read: AdvertiseAnswer = args.api.read(PATH, &answer)?;
    if args.api.json {
        text::write_json(&answer, &mut *console.out)?;
    } else if read.status == AdvertiseStatus::Ok {
        writeln!(console.out, "{}", clean(&read.message)).context("cannot write the output")?;
    }
    match read.status {
        AdvertiseStatus::Ok => Ok(()),
        AdvertiseStatus::Refused => bail!("{}", clean(&read.message)),
    }
}

fn is_answer(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CONFLICT)
}

fn list(api: &ApiArgs, console: &mut Console) -> anyhow::Result<()> {
    api.tell(PATH, console, |answer: AdvertiseAnswer, _, out| {
        print(&answer, out)
    })
}

/// A route a line, and behind it where it is from.
fn print(answer: &AdvertiseAnswer, out: &mut dyn Write) -> std::io::Result<()> {
    if answer.routes.is_empty() {
        writeln!(out, "{}", clean(&answer.message))?;
    }
    for route in &answer.routes {
        let from = match (answer.added.contains(route), answer.saved.contains(route)) {
            (false, _) => "file",
            (true, false) => "added",
            (true, true) => "saved",
        };
        writeln!(out, "{}  {from}", clean(route))?;
    }
    let gone = answer
        .saved
        .iter()
        .filter(|route| !answer.routes.contains(route));
    for route in gone {
        writeln!(out, "{}  after the next start", clean(route))?;
    }
    Ok(())
}

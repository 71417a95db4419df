//! The commands: one file each. Results go to the [`Console`]'s output, errors become one line on
//! its error stream and an exit code.

pub mod cert;
mod cert_info;
pub mod check;
mod client;
mod client_error;
mod completions;
mod console;
mod drain;
mod endpoint;
mod events;
mod explain;
mod failure;
pub mod hash;
pub mod init;
mod launch;
mod names;
mod peers;
mod ready;
mod reload;
mod route;
mod routes;
mod service;
mod status;
mod streams;
mod table;
mod text;
mod trace;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub use console::{Console, Screen, WIDE};
pub use failure::Failure;
pub use launch::{DemoArgs, Launch, ReadyWhen, RunArgs};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "warren",
    bin_name = "warren",
    version,
    about,
    long_about = "A mesh of agents that carries SOCKS5 traffic over QUIC and survives the death of any transit.\n\n\
        One binary is ingress, transit or exit by its YAML file.",
    after_help = "Start here:\n  \
        warren demo                        a whole mesh in this process, to try it\n  \
        warren init                        create this agent's identity, print its id\n  \
        warren cert ca -n my-mesh          create a mesh CA\n  \
        warren status                      ask a running agent how it is\n  \
        warren explain 10.0.0.1            why traffic goes where it goes\n  \
        warren trace 10.0.0.1              how long each hop takes\n\n\
        Exit codes: 0 done, 1 the operation failed, 2 bad usage or bad configuration."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(after_help = "Example:\n  warren run -c /etc/warren/agent.yaml")]
    Run(RunArgs),
    #[command(
        after_help = "Examples:\n  warren demo\n  warren demo --port 1081 --http-port 8081\n  warren demo --drill"
    )]
    Demo(DemoArgs),
    #[command(after_help = "Examples:\n  warren init\n  warren init -d /var/lib/warren")]
    Init(init::InitArgs),
    #[command(after_help = "Examples:\n  \
        warren cert ca -n my-mesh -o certs\n  \
        warren cert agent -n exit-a --ca certs -o certs --route 10.0.0.0/8\n  \
        warren cert info certs/exit-a.crt")]
    Cert(cert::CertArgs),
    #[command(after_help = "Example:\n  printf %s \"$PASSWORD\" | warren hash")]
    Hash(hash::HashArgs),
    Check(check::CheckArgs),
    Ready(ready::ReadyArgs),
    Status(status::StatusArgs),
    Peers(peers::PeersArgs),
    Routes(routes::RoutesArgs),
    Streams(streams::StreamsArgs),
    Explain(explain::ExplainArgs),
    Trace(trace::TraceArgs),
    Events(events::EventsArgs),
    Route(route::RouteArgs),
    Drain(drain::DrainArgs),
    Reload(reload::ReloadArgs),
    Service(service::ServiceArgs),
    Completions(completions::CompletionsArgs),
}

/// Runs the command that `args` name (the program's name first) and returns the exit code.
pub fn main(
    args: impl IntoIterator<Item = OsString>,
    launch: &Launch,
    console: &mut Console,
) -> u8 {
    let outcome = Cli::try_parse_from(args)
        .map_err(Failure::from)
        .and_then(|cli| run(cli.command, launch, console));
    let outcome = outcome.and_then(|()| Ok(console.out.flush()?));
    match outcome {
        Ok(()) => 0,
        Err(failure) => failure.report(console),
    }
}

fn run(command: Command, launch: &Launch, console: &mut Console) -> Result<(), Failure> {
    match command {
        Command::Run(args) => (launch.run)(&args)?,
        Command::Demo(args) => (launch.demo)(&args, console)?,
        Command::Init(args) => init::run(args, &mut *console.out)?,
        Command::Cert(args) => cert::run(args, &mut *console.out, &mut *console.err)?,
        Command::Hash(args) => hash::run(args, console)?,
        Command::Check(args) => check::run(&args, launch.connect, console)?,
        Command::Ready(args) => ready::run(&args, &mut *console.out)?,
        Command::Status(args) => status::run(&args, console)?,
        Command::Peers(args) => peers::run(&args, console)?,
        Command::Routes(args) => routes::run(&args, console)?,
        Command::Streams(args) => streams::run(&args, console)?,
        Command::Explain(args) => explain::run(&args, console)?,
        Command::Trace(args) => trace::run(&args, console)?,
        Command::Route(args) => route::run(&args, console)?,
        Command::Reload(args) => reload::run(&args, console)?,
        Command::Drain(args) => drain::run(&args, console)?,
        Command::Events(args) => events::run(&args, console)?,
        Command::Service(args) => service::run(&args, console)?,
        Command::Completions(args) => completions::run(&args, &mut *console.out)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! `warren service`: a systemd unit for a file.
//!
//! The unit is `configs/systemd/warren.service` with the lines changed that the file, its ports and its
//! folders ask for (`unit`); `host` writes it and calls systemd's own programs.

mod host;
mod unit;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};

use super::{Console, Failure};
use crate::config::Config;
use host::{Host, Installed};
use unit::Unit;

/// Makes systemd run an agent.
#[derive(Debug, Args)]
pub struct ServiceArgs {
    #[command(subcommand)]
    command: ServiceCommand,
}

#[derive(Debug, Subcommand)]
enum ServiceCommand {
    /// Write a unit for a file, make its user, and start it; does nothing that is done already
    #[command(after_help = "Examples:\n  \
        warren service install -c /etc/warren/agent.yaml\n  \
        warren service install -c agent.yaml --print")]
    Install(InstallArgs),
    /// Stop the unit and remove it; the file, its data and the user stay
    Uninstall(UnitArgs),
    /// Tell whether the unit is there, as the file wants it, and whether it runs
    Status(InstallArgs),
}

/// Which unit.
#[derive(Debug, Args)]
struct UnitArgs {
    /// The agent's configuration
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// The unit's name [default: warren for agent.yaml, else warren-NAME for NAME.yaml]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Work on the system below this folder, such as an image, and start nothing
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// What is to be in it.
#[derive(Debug, Args)]
struct InstallArgs {
    #[command(flatten)]
    unit: UnitArgs,
    /// The user that the agent runs as; made if it is not there
    #[arg(long, value_name = "USER", default_value = "warren")]
    user: String,
    /// The program [default: this one]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Print the unit and do nothing
    #[arg(long)]
    print: bool,
}

/// Does it, and says a line for each thing.
pub(super) fn run(args: &ServiceArgs, console: &mut Console) -> Result<(), Failure> {
    let out = &mut *console.out;
    match &args.command {
        ServiceCommand::Install(args) => install(args, out),
        ServiceCommand::Uninstall(args) => Ok(uninstall(args, out)?),
        ServiceCommand::Status(args) => status(args, out),
    }
}

fn install(args: &InstallArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let unit = unit(args)?;
    if args.print {
        return Ok(out.write_all(unit.text().as_bytes())?);
    }
    let host = Host::new(args.unit.root.as_deref());
    host.put(&unit)?
        .iter()
        .try_for_each(|line| writeln!(out, "{line}"))?;
    Ok(())
}

fn uninstall(args: &UnitArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let name = name(args)?;
    let done = Host::new(args.root.as_deref()).remove(&name)?;
    done.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    Ok(())
}

fn status(args: &InstallArgs, out: &mut dyn Write) -> Result<(), Failure> {
    let unit = unit(args)?;
    if args.print {
        return Ok(out.write_all(unit.text().as_bytes())?);
    }
    let host = Host::new(args.unit.root.as_deref());
    let seen = host.look(&unit)?;
    let (path, name) = (seen.path.display(), unit.name());
    let installed = match seen.installed {
        Installed::Current => format!("{path} is as the file wants it"),
        Installed::Other => {
            format!("{path} is another than the file wants: `warren service install`")
        }
        Installed::Foreign => format!("{path} was not made by `warren service install`"),
        Installed::No => format!("{path} is not there: `warren service install`"),
    };
    writeln!(out, "unit     {installed}")?;
    writeln!(out, "enabled  {}", seen.enabled)?;
    if let Some(active) = &seen.active {
        writeln!(out, "active   {active}")?;
    }
    let runs = seen.active.is_none_or(|active| active == "active");
    match seen.installed == Installed::Current && seen.enabled == "enabled" && runs {
        true => Ok(()),
        false => Err(anyhow!("{name} is not as it should be, see above").into()),
    }
}

/// The unit that the file wants. A bad file is an error of its own.
fn unit(args: &InstallArgs) -> Result<Unit, Failure> {
    let file = absolute(&args.unit.config)?;
    let config = Config::load(&file).map_err(|e| Failure::Configuration(e.to_string()))?;
    let program = match &args.program {
        Some(program) => absolute(program)?,
        None => {
            std::env::current_exe().context("cannot tell where this program is; give --program")?
        }
    };
    let wanted = unit::Wanted {
        name: name(&args.unit)?,
        file,
        program,
        user: args.user.clone(),
    };
    Unit::new(&wanted, &config).map_err(|why| Failure::Failed(anyhow!(why)))
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}

fn name(args: &UnitArgs) -> anyhow::Result<String> {
    let name = args
        .name
        .clone()
        .map_or_else(|| unit::name_of(&args.config), Ok);
    name.and_then(unit::checked_name)
        .map_err(|why| anyhow!(why))
}

#[cfg(test)]
mod tests;

//! `internal-chaos fault`: one fault of one process, healed when its time is over.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Slowed, Starved, Victim};

/// Break one process for a while. The fault is healed when the time is over or a signal ends this
/// command.
#[derive(Debug, Args)]
pub struct FaultArgs {
    #[command(subcommand)]
    kind: Kind,
    /// The process.
    #[arg(long, global = true, default_value_t = 0)]
    pid: u32,
    /// How long the fault lasts.
    #[arg(long, global = true, default_value_t = 5.0)]
    seconds: f64,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// SIGKILL; nothing is healed.
    Kill,
    /// SIGSTOP, then SIGCONT.
    Stop,
    /// Pin it to one core, beside threads that never rest.
    Slow {
        /// How many.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
        rivals: u32,
    },
    /// Lower its limit on open files to what it has open.
    Starve {
        /// Descriptors that it may open all the same.
        #[arg(long, default_value_t = 0)]
        spare: usize,
    },
}

/// Strikes, waits, heals.
pub async fn run(args: &FaultArgs) -> anyhow::Result<()> {
    let time = Duration::try_from_secs_f64(args.seconds)?;
    let victim = Victim::open(args.pid)?;
    match args.kind {
        Kind::Kill => victim.kill()?,
        Kind::Stop => {
            let _stopped = victim.stop()?;
            tokio::time::sleep(time).await;
        }
        Kind::Slow { rivals } => {
            let _slowed = Slowed::strike(&victim, rivals, time)?;
            tokio::time::sleep(time).await;
        }
        Kind::Starve { spare } => {
            let _starved = Starved::strike(&victim, spare)?;
            tokio::time::sleep(time).await;
        }
    }
    Ok(())
}

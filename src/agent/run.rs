//! `warren run`: an agent in the foreground until a signal ends it.

use std::io;
use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::error::StartError;
use super::logging;
use super::notify::{Notifier, watchdog};
use super::own_file::{OwnFile, OwnFileError};
use super::parts::Parts;
use super::start::Agent;
use super::supervise::Supervision;
use crate::cli::RunArgs;
use crate::config::{Config, ConfigErrors};
use crate::task::TaskFailed;

/// Why `warren run` failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file is wrong: exit code 2.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Failed(#[from] TaskFailed),
    #[error(transparent)]
    OwnFile(#[from] OwnFileError),
    #[error("cannot set up the process: {0}")]
    Process(#[from] io::Error),
}

/// The runtime of one agent: one thread, see the module above.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Runs the agent that the arguments' file describes until SIGTERM or SIGINT, which drain it; a second signal resets
/// what is left, a third ends at once. SIGHUP reads the file again.
pub fn run(args: &RunArgs) -> Result<(), RunError> {
    let runtime = runtime()?;
    // First of all: a signal that nobody listens to would end the process.
    let signals = {
        let _entered = runtime.enter();
        Signals::listen()?
    };
    let config = Config::load(&args.config)?;
    let agent = &config.agent;
    let log = logging::init(&agent.log_level, agent.log_format, config.limits.log_lines);
    if let (Some(log), Some(name)) = (&log, &agent.display_name) {
        log.give_name(name);
    }
    let own_file = |option, path: &Option<PathBuf>| {
        let path = path.as_deref();
        path.map(|path| OwnFile::claim(option, path)).transpose()
    };
    let mut pid_file = own_file("--pid-file", &args.pid_file)?;
    let ready_file = own_file("--ready-file", &args.ready_file)?;
    pid_file.as_mut().map(OwnFile::put).transpose()?;
    let notifier = Notifier::from_env();
    let parts = Parts::load(config)?.of_file(&args.config);
    let parts = parts.telling(notifier.clone());
    if let Some(log) = &log {
        // Without a name of its own it has its id's.
        log.give_name(&parts.display_name());
    }
    let supervision = Supervision {
        notifier: notifier.clone(),
        ready_file,
        ready_when: args.ready_when,
        watchdog: watchdog(),
    };
    keep(runtime, signals, &notifier, async {
        let mut agent = Agent::start(parts).await?;
        agent.supervise(supervision);
        Ok(agent)
    })
}

/// Keeps the agent that `start` makes running until a signal, or a defect, ends it.
fn keep(
    runtime: Runtime,
    mut signals: Signals,
    notifier: &Notifier,
    start: impl Future<Output = Result<Agent, StartError>>,
) -> Result<(), RunError> {
    let ended = runtime.block_on(async {
        let mut agent = start.await?;
        // At once where a task fails: neighbours notice a silent end soon, and half an agent cannot say
        // goodbye.
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Signal::Reload => {
                        info!("SIGHUP: reloading");
                        agent.reload();
                    }
                    Signal::Stop(name) => break info!(signal = name, "stopping"),
                },
                failed = agent.failed() => return Err(failed.into()),
            }
        }
        notifier.stopping(agent.longest_end());
        tokio::select! {
            () = agent.drain() => {}
            name = signals.stop() => info!(signal = name, "stopping now"),
            failed = agent.failed() => return Err(failed.into()),
        }
        tokio::select! {
            () = agent.shutdown() => {}
            name = signals.stop() => info!(signal = name, "stopping at once"),
        }
        Ok(())
    });
    // A lookup by the system's resolver or a write to a dead disk may go on for ever.
    runtime.shutdown_background();
    ended
}

/// Blocks until SIGTERM or SIGINT.
pub fn wait_for_stop_signal() -> io::Result<()> {
    runtime()?.block_on(async {
        Signals::listen()?.stop().await;
        Ok(())
    })
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
            _ = self.hangup.recv() => Signal::Reload,
        }
    }

    /// Waits for a signal that ends the agent.
    async fn stop(&mut self) -> &'static str {
        loop {
            match self.next().await {
                Signal::Stop(name) => return name,
                Signal::Reload => warn!("SIGHUP ignored: the agent is stopping"),
            }
        }
    }
}

/// What a signal asks for.
enum Signal {
    Reload,
    Stop(&'static str),
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::cli::{self, Console, Failure, Launch};

    /// The file of an agent that the child process is to run.
    const FILE: &str = "WARREN_TEST_CHILD_FILE";

    /// Runs an agent one of whose tasks has a defect, as `warren run` would.
    fn run_broken(args: &RunArgs) -> Result<(), Failure> {
        let config =
            Config::load(&args.config).map_err(|e| Failure::Configuration(e.to_string()))?;
        let log = logging::init("info", config.agent.log_format, config.limits.log_lines);
        let parts = Parts::load(config).map_err(|e| Failure::Failed(e.into()))?;
        let runtime = runtime().unwrap();
        let signals = runtime.block_on(async { Signals::listen().unwrap() });
        let ended = keep(runtime, signals, &Notifier::default(), async {
            let mut agent = Agent::start(parts).await?;
            agent.start_broken_task();
            Ok(agent)
        });
        drop(log);
        ended.map_err(|error| Failure::Failed(error.into()))
    }

    /// The child process of the test below; alone it has nothing to do.
    #[test]
    fn child() {
        let Some(file) = std::env::var_os(FILE) else {
            return;
        };
        let launch = Launch {
            run: run_broken,
            demo: |_, _| unreachable!("it runs an agent"),
            connect: |_, _| unreachable!("it runs an agent"),
        };
        let args = ["warren".into(), "run".into(), "-c".into(), file];
        let code = cli::main(args, &launch, &mut Console::standard());
        std::process::exit(code.into());
    }

    #[test]
    fn a_task_that_panics_ends_the_process_with_a_message() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.yaml");
        let yaml = "http: { address: '127.0.0.1:0' }\n\
            listeners: [{ transport: quic, address: '127.0.0.1:0' }]\n";
        std::fs::write(&file, yaml).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "agent::run::tests::child", "--nocapture"]);
        child.env(FILE, &file).stdin(Stdio::null());
        let ended = child.output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.contains("agent started"), "{told}");
        let last = told.lines().last().unwrap();
        assert!(
            last.starts_with(
                "warren: the broken task panicked (as the test wants it); that is a defect"
            ),
            "{told}"
        );
        assert!(
            last.ends_with("the agent has ended, start it again"),
            "{told}"
        );
        // The hook logged it, too, with its place.
        assert!(told.contains("panicked"), "{told}");
    }
}

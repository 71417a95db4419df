//! What a service manager is told (sd_notify(3)): a thread of its own sends it, so that nobody waits for
//! the manager's socket.
//!
//! The crate `sd-notify` does the same for paths, and not for abstract names, which containers and
//! managers other than systemd use.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tracing::warn;

/// Messages that wait for the thread. There are a few a second at most, and one that stands still may be
/// as far behind as this.
const QUEUE: usize = 64;

/// What one message may take where the manager does not read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where to tell a service manager what the agent does; nowhere, if there is none. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(super) struct Notifier {
    sender: Option<SyncSender<String>>,
    /// Readiness was told: what is told before that ends the start in the manager's eyes.
    is_ready: Arc<AtomicBool>,
}

impl Notifier {
    /// To the socket that `$NOTIFY_SOCKET` names, by a path or, behind an `@`, by an abstract name.
    pub(super) fn from_env() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        match connect(name.as_bytes()).and_then(start) {
            Ok(sender) => Self {
                sender: Some(sender),
                ..Self::default()
            },
            Err(error) => {
                let socket = name.to_string_lossy();
                warn!(%error, %socket, "the service manager is told nothing: its socket cannot be used");
                Self::default()
            }
        }
    }

    /// Whether anybody listens.
    pub(super) fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    /// The agent is ready; what is told again is told once.
    pub(super) fn ready(&self) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            self.send("READY=1".to_owned());
        }
    }

    /// Its file is read again from now on.
    pub(super) fn reloading(&self) {
        if self.is_ready.load(Ordering::Relaxed) {
            self.send(format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_usec()));
        }
    }

    /// That is over, whatever came of it.
    pub(super) fn reloaded(&self) {
        if self.is_ready.load(Ordering::Relaxed) {
            self.send("READY=1".to_owned());
        }
    }

    /// It ends, and takes so long at most.
    pub(super) fn stopping(&self, limit: Duration) {
        let usec = limit.as_micros();
        self.send(format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={usec}"));
    }

    /// A line for people.
    pub(super) fn status(&self, line: &str) {
        self.send(format!("STATUS={line}"));
    }

    /// It is alive.
    pub(super) fn alive(&self) {
        self.send("WATCHDOG=1".to_owned());
    }

    fn send(&self, message: String) {
        if let Some(sender) = &self.sender {
            // One that is full has a manager that reads nothing, and hears of nothing else either.
            let _ = sender.try_send(message);
        }
    }
}

/// How often the manager wants to hear that the agent is alive; `None`: not at all.
pub(super) fn watchdog() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_meant = std::env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(std::process::id().into());
    let usec = number("WATCHDOG_USEC").filter(|usec| *usec > 0)?;
    is_meant.then(|| Duration::from_micros(usec))
}

fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// The thread ends with the last notifier.
fn start(socket: UnixDatagram) -> io::Result<SyncSender<String>> {
    let (sender, messages) = sync_channel(QUEUE);
    let thread = std::thread::Builder::new().name("notify".to_owned());
    thread.spawn(move || forward(&socket, &messages))?;
    Ok(sender)
}

fn forward(socket: &UnixDatagram, messages: &Receiver<String>) {
    let mut works = true;
    for message in messages {
        let sent = socket.send(message.as_bytes());
        if let Err(error) = &sent
            && works
        {
            warn!(%error, "the service manager does not hear this agent");
        }
        works = sent.is_ok();
    }
}

/// The clock that the manager compares with its own.
fn monotonic_usec() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

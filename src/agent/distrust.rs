//! Ends what lives by a certificate that counts no more: one that has ended, or was revoked. The file
//! of revocations is read again when it changes.
//!
//! ```text
//! trust.revoke_file ──► Revoked ──► handshakes
//!                          │
//!           certificates ──┴──► links, sessions (ended), control task (drops what they prove)
//! ```
//!
//! One vital task; it may be aborted at any time.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::control::Command;
use super::error::StartError;
use super::mesh::Mesh;
use crate::clock::{unix_ms, unix_now};
use crate::config::Config;
use crate::exit::Exit;
use crate::identity::{Credential, Revocations, Revoked, Trust};
use crate::link::{DownReason, Links};
use crate::tunnel::Sessions;

/// Trust that changes counts everywhere within a second.
const TICK: Duration = Duration::from_millis(250);

/// A file that was changed less than this ago may change again without a later time.
const FRESH_MS: i64 = 1_000;

/// Most bytes of the file: some 30,000 lines. What is more is not read, and told.
const MAX_BYTES: u64 = 1 << 20;

/// What the task owns.
pub(super) struct Distrust {
    pub(super) trust: Arc<Trust>,
    /// `trust.revoke`
    pub(super) listed: Revocations,
    /// `trust.revoke_file`
    pub(super) file: Option<PathBuf>,
    pub(super) links: Arc<Links>,
    pub(super) sessions: Option<Arc<Sessions<Mesh>>>,
    pub(super) exit: Option<Arc<Exit>>,
    pub(super) commands: mpsc::Sender<Command>,
}

/// What tells one state of a file from another: which it is, its size, and when it was changed, in
/// milliseconds; `None`: it is not there.
type Stamp = Option<(u64, u64, u64, i64)>;

/// What is revoked at the start. A file that cannot be read whole is an error: a slip must not let
/// anybody in.
pub(super) fn revoked(config: &Config) -> Result<Revoked, StartError> {
    let mut revocations = config.revoke.clone();
    if let Some(path) = &config.revoke_file {
        let failed = |reason: String| StartError::Revocations {
            path: path.clone(),
            reason,
        };
        let text = read(path).map_err(failed)?;
        let (listed, errors) = Revocations::parse(&text);
        if let Some(error) = errors.first() {
            return Err(failed(error.to_string()));
        }
        revocations = revocations.with(&listed);
    }
    let revoked = Revoked::default();
    revoked.replace(revocations);
    Ok(revoked)
}

impl Distrust {
    /// Runs for ever.
    pub(super) async fn run(self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stamp = None;
        // What was read last, and what was read before it, if the last could not be read whole.
        let mut known = self.trust.revoked().current();
        loop {
            ticks.tick().await;
            if let Some(path) = &self.file {
                let now = self::stamp(path);
                // A file's time has ticks: one that was changed just now is read once more.
                let is_fresh = now.is_some_and(|(.., changed)| {
                    let age = i64::try_from(unix_ms()).map_or(0, |now| now - changed);
                    (0..=FRESH_MS).contains(&age)
                });
                let is_news = now != stamp;
                if is_news || is_fresh {
                    stamp = now;
                    self.reread(path, &mut known, is_news).await;
                }
            }
            self.end_what_lives();
        }
    }

    /// Reads the file and tells what it cannot read, once for each state of it.
    async fn reread(&self, path: &Path, known: &mut Revocations, is_news: bool) {
        let owned = path.to_owned();
        // The runtime ends.
        let Ok(read) = spawn_blocking(move || read(&owned)).await else {
            return;
        };
        let (listed, trouble) = match read {
            Ok(text) => match Revocations::parse(&text) {
                (listed, errors) if errors.is_empty() => (listed, None),
                (listed, errors) => (listed.with(known), Some(errors[0].to_string())),
            },
            Err(error) => (known.clone(), Some(error)),
        };
        if let Some(error) = trouble.filter(|_| is_news) {
            warn!(path = %path.display(), error, "trust.revoke_file: what was revoked stays so");
        }
        let all = self.listed.clone().with(&listed);
        let count = all.count();
        *known = listed;
        if self.trust.revoked().replace(all) {
            info!(count, "revocations changed");
            // The agent stops.
            let _ = self.commands.send(Command::TrustChanged).await;
        }
    }

    fn end_what_lives(&self) {
        let now = unix_now();
        let judge = |credential: &Credential| {
            let error = self.trust.ends(credential, now)?;
            Some(error.to_string())
        };
        self.links.disconnect_where(|credential| {
            let why = judge(credential)?;
            warn!(neighbor = %credential.id, why, "link ends: its certificate counts no more");
            Some(DownReason::Distrusted(why))
        });
        let session = |credential: &Credential| {
            let why = judge(credential)?;
            warn!(agent = %credential.id, why, "session ends: its certificate counts no more");
            Some(why)
        };
        if let Some(sessions) = &self.sessions {
            sessions.end_where(session);
        }
        if let Some(exit) = &self.exit {
            exit.end_sessions_where(session);
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    let changed = meta.ctime() * 1_000 + meta.ctime_nsec() / 1_000_000;
    Some((meta.dev(), meta.ino(), meta.size(), changed))
}

fn read(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    match read.map_err(|error| error.to_string())? as u64 {
        0..=MAX_BYTES => Ok(text),
        _ => Err(format!("longer than {MAX_BYTES} bytes")),
    }
}

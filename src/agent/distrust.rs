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

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::control::Command;
use super::error::StartError;
use super::revoke_file::{Found, RevokeFile};
use crate::clock::unix_now;
use crate::config::Config;
use crate::exit::Exit;
use crate::identity::{Credential, Revocations, Revoked, Trust, read_revoke_file};
use crate::link::{DownReason, Links};
use crate::tunnel::Sessions;

/// Trust that changes counts everywhere within a second.
const TICK: Duration = Duration::from_millis(250);

/// What the task owns.
pub(super) struct Distrust {
    pub(super) trust: Arc<Trust>,
    /// What the agent goes by: `trust.revoke` and `trust.revoke_file`.
    pub(super) config: watch::Receiver<Arc<Config>>,
    /// `trust.revoke_file`
    pub(super) file: Option<RevokeFile>,
    pub(super) links: Arc<Links>,
    pub(super) sessions: Option<Arc<Sessions>>,
    pub(super) exit: Option<Arc<Exit>>,
    pub(super) commands: mpsc::Sender<Command>,
}

/// What is revoked at the start. A file that cannot be read whole is an error: a slip must not let
/// anybody in.
pub(super) fn revoked(config: &Config) -> Result<Revoked, StartError> {
    let mut revocations = config.revoke.clone();
    if let Some(path) = &config.revoke_file {
        let failed = |reason: String| StartError::Revocations {
            path: path.clone(),
            reason,
        };
        let text = read_revoke_file(path).map_err(failed)?;
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
    pub(super) async fn run(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was read last, and what was read before it, if the last could not be read whole.
        let mut known = self.trust.revoked().current();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = self.config.changed() => self.handle_config(&mut known),
            }
            if let Some(file) = &mut self.file
                && let Some(found) = file.changed().await
            {
                let path = file.path().to_owned();
                self.reread(&path, found, &mut known).await;
            }
            self.end_what_lives();
        }
    }

    /// The configuration is another one, whose revocations count already.
    fn handle_config(&mut self, known: &mut Revocations) {
        let config = self.config.borrow_and_update().clone();
        let path = self.file.as_ref().map(RevokeFile::path);
        if config.revoke_file.as_deref() != path {
            self.file = config.revoke_file.clone().map(RevokeFile::new);
        }
        *known = self.trust.revoked().current();
    }

    /// Takes what the file says and tells what cannot be read, once for each state of it.
    async fn reread(&self, path: &Path, found: Found, known: &mut Revocations) {
        let (listed, trouble) = match found.text {
            Ok(text) => match Revocations::parse(&text) {
                (listed, errors) if errors.is_empty() => (listed, None),
                (listed, errors) => (listed.with(known), Some(errors[0].to_string())),
            },
            Err(error) => (known.clone(), Some(error)),
        };
        if let Some(error) = trouble.filter(|_| found.is_news) {
            warn!(path = %path.display(), error, "trust.revoke_file: what was revoked stays so");
        }
        let all = self.config.borrow().revoke.clone().with(&listed);
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

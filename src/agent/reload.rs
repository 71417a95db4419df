//! A file that is read again while the agent runs: all of it counts from then on, or nothing.
//!
//! ```text
//!  read ─► differences ─► can they be made? ─► get all that may fail ─► apply
//!   │                            │                      │
//!   └─ bad file                  └─ needs a restart     └─ a port is taken, a CA is no CA …
//!      ▼                         ▼                      ▼
//!      nothing changed, and one line for each reason
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use super::added::{Added, Bounds, RouteError};
use super::descriptors;
use super::error::StartError;
use super::logging;
use super::memory;
use super::parts;
use super::renewal;
use super::request::Reloaded;
use super::service::Services;
use super::setup::Shared;
use crate::api::RouteChange;
use crate::clock::format_date;
use crate::config::{Config, Effect, Key};
use crate::identity::{Identity, Trust};

/// What reading the file and what it names may take. Meanwhile nothing else is done that is asked for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keys under which changes of what these files hold are told; what stands in the configuration itself
/// is told of by its own key.
const CA: [&str; 2] = ["tls.ca", "tls.ca_pem"];
const CERTIFICATE: [&str; 2] = ["tls.cert", "tls.cert_pem"];

/// What is needed to read the file again.
pub(super) struct Source {
    /// `None`: the agent was not made from a file.
    pub(super) file: Option<PathBuf>,
    /// What the agent shows.
    pub(super) identity: Arc<Identity>,
    /// As the file had it; what counts may be less where the host has less.
    pub(super) loaded: Config,
    /// Whom everybody here judges by.
    pub(super) trust: Arc<Trust>,
}

/// What a reload works on.
pub(super) struct Running<'a> {
    pub(super) services: &'a mut Services,
    pub(super) shared: &'a Shared,
    pub(super) config: &'a watch::Sender<Arc<Config>>,
    /// Routes beside those of the file, which stay.
    pub(super) added: &'a Added,
}

impl Source {
    /// Reads the file again and applies it to what runs.
    pub(super) async fn reload(&mut self, running: Running<'_>) -> Reloaded {
        let outcome = self.try_reload(running).await;
        match &outcome {
            Ok(Reloaded::Applied(keys)) if keys.is_empty() => {
                info!("reloaded: nothing has changed")
            }
            Ok(Reloaded::Applied(keys)) => info!(changed = keys.join(", "), "reloaded"),
            Ok(Reloaded::Refused(keys)) => {
                for (key, why) in keys {
                    warn!(key, why, "not reloaded");
                }
            }
            Ok(Reloaded::Failed(_)) => {}
            Err(lines) => lines.iter().for_each(|error| warn!(error, "not reloaded")),
        }
        outcome.unwrap_or_else(Reloaded::Failed)
    }

    /// The routes beside those of the file after `change`.
    pub(super) fn changed_routes(
        &self,
        before: &Added,
        change: &RouteChange,
    ) -> Result<Added, RouteError> {
        let file = self.loaded.exit.as_ref().ok_or(RouteError::NoExit)?;
        let certificate = self.identity.parsed();
        let bounds = Bounds {
            file,
            grants: certificate.grants.as_ref(),
            most: self.loaded.limits.routes_per_origin,
        };
        before.changed(change, &bounds)
    }

    /// Keeps them for the next start.
    pub(super) async fn save(&self, added: Added) -> Result<(), RouteError> {
        if self.file.is_none() {
            return Err(RouteError::Homeless);
        }
        let data_dir = self.loaded.agent.data_dir.clone();
        let saved = spawn_blocking(move || added.save(&data_dir)).await;
        saved.unwrap_or(Err(RouteError::Ended))
    }

    async fn try_reload(&mut self, running: Running<'_>) -> Result<Reloaded, Vec<String>> {
        let file = self.file.clone();
        let file = file.ok_or_else(|| vec!["this agent was not started from a file".to_owned()])?;
        let found = read(file, self.identity.clone()).await?;
        let Found {
            config,
            trust,
            identity,
        } = found;
        let changed = self.loaded.diff(&config);
        let refused: Vec<_> = changed
            .iter()
            .filter(|key| key.effect() == Effect::Restart)
            .map(|key| (key.to_string(), key.refusal()))
            .collect();
        if !refused.is_empty() {
            return Ok(Reloaded::Refused(refused));
        }
        let mut fitted = running.added.in_force(&config);
        descriptors::fit(&mut fitted);
        memory::fit(&mut fitted);
        let before = running.config.borrow().clone();
        let renewed = identity.filter(|found| found.chain() != self.identity.chain());
        let renews = renewed.is_some();
        let plan = running.services.plan(&before, &fitted, &trust, renews);
        let plan = plan.await;
        let plan = plan.map_err(|error| vec![chain(&error)])?;
        // From here on nothing fails.
        let changed = self.trust(&trust, renewed, changed, &running).await;
        running.services.apply(&fitted, plan).await;
        logging::set_level(&fitted.agent.log_level);
        running.config.send_replace(Arc::new(fitted));
        self.loaded = config;
        Ok(Reloaded::Applied(changed))
    }

    /// Judges by `trust` and shows what was `renewed` from now on; returns what changed in all.
    async fn trust(
        &self,
        trust: &Trust,
        renewed: Option<Identity>,
        changed: Vec<Key>,
        running: &Running<'_>,
    ) -> Vec<String> {
        let mut keys: Vec<String> = changed.iter().map(Key::to_string).collect();
        let own = &self.trust;
        let revoked = own.revoked().replace(trust.revoked().current());
        let replaced = own.replace(trust);
        if replaced
            && !changed
                .iter()
                .any(|key| key.is_of("trust") || key.is_of("peers"))
            && !keys.iter().any(|key| CA.contains(&key.as_str()))
        {
            keys.push(CA[0].to_owned());
        }
        if let Some(renewed) = &renewed {
            self.identity.renew(renewed);
            running.services.renewed(&self.identity, own);
            info!(
                until = format_date(renewed.not_after()),
                "certificate renewed"
            );
            if !keys.iter().any(|key| CERTIFICATE.contains(&key.as_str())) {
                keys.push(CERTIFICATE[0].to_owned());
            }
        }
        if replaced || revoked {
            running.services.judge(own, running.shared);
        }
        if replaced || revoked || renewed.is_some() {
            running.services.trust_changed().await;
        }
        keys
    }
}

/// What the file and the files that it names hold now.
struct Found {
    config: Config,
    trust: Trust,
    /// `None`: there is none, and the one that is shown stays.
    identity: Option<Identity>,
}

/// Reads the file and what it names, beside everything else: storage may be slow.
async fn read(file: PathBuf, running: Arc<Identity>) -> Result<Found, Vec<String>> {
    let read = spawn_blocking(move || {
        let config = Config::load_again(&file).map_err(|errors| {
            let lines = errors.to_string();
            lines.lines().map(str::to_owned).collect::<Vec<_>>()
        })?;
        let trust = parts::trust(&config, running.id()).map_err(|error| vec![chain(&error)])?;
        let identity = renewal::read(&config, &running, &trust);
        config.warnings().iter().for_each(|text| warn!("{text}"));
        Ok(Found {
            identity: identity.map_err(|error| vec![chain(&error)])?,
            config,
            trust,
        })
    });
    match timeout(PATIENCE, read).await {
        Ok(read) => read.unwrap_or_else(|error| Err(vec![error.to_string()])),
        Err(_) => Err(vec![format!("storage does not answer within {PATIENCE:?}")]),
    }
}

/// An error and its causes in one line.
fn chain(error: &StartError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

//! What an agent is made of: its configuration, identity, trust and epoch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use super::added::Added;
use super::distrust;
use super::error::StartError;
use super::notify::Notifier;
use crate::clock::unix_ms;
use crate::config::{Config, Peer};
use crate::identity::{AgentId, Identity, Roles, Trust, next_epoch};

/// Everything that an agent starts with.
pub struct Parts {
    pub(super) config: Config,
    /// Where it was read; `None`: it cannot be read again.
    pub(super) file: Option<PathBuf>,
    pub(super) identity: Arc<Identity>,
    /// Whom we accept as neighbour, origin and end of a session.
    pub(super) trust: Arc<Trust>,
    /// Names this process among all that ever had this key.
    pub(super) epoch: u64,
    /// Routes beside those of the file.
    pub(super) added: Added,
    /// The epoch is kept in `agent.data_dir`.
    pub(super) keeps_epoch: bool,
    /// Tells a service manager.
    pub(super) notifier: Notifier,
}

impl Parts {
    /// Reads keys and certificates as the configuration names them; makes an identity in
    /// `agent.data_dir` if it names none.
    pub fn load(config: Config) -> Result<Self, StartError> {
        config.warnings().iter().for_each(|text| warn!("{text}"));
        let identity = load_identity(&config)?;
        let data_dir = &config.agent.data_dir;
        let unix_ms = unix_ms();
        let (epoch, keeps_epoch) = match next_epoch(data_dir, unix_ms) {
            Ok(epoch) => {
                epoch.warning.iter().for_each(|text| warn!("{text}"));
                (epoch.value, true)
            }
            Err(error) => {
                // Only a clock set back would make this epoch older than an earlier one.
                warn!(%error, "the epoch is not kept in agent.data_dir: using the clock alone");
                (unix_ms, false)
            }
        };
        Self::assemble(config, identity, epoch, keeps_epoch)
    }

    /// From `file`, which is read again at a reload, and with what an earlier process kept beside it.
    pub(super) fn of_file(self, file: &Path) -> Self {
        Self {
            file: Some(file.to_owned()),
            added: Added::load(&self.config.agent.data_dir),
            ..self
        }
    }

    /// Tells a service manager of reloads.
    pub(super) fn telling(self, notifier: Notifier) -> Self {
        Self { notifier, ..self }
    }

    /// With an identity that exists only in memory: nothing is read or written but CA files.
    pub fn in_memory(config: Config, identity: Identity) -> Result<Self, StartError> {
        Self::assemble(config, identity, unix_ms(), false)
    }

    fn assemble(
        config: Config,
        identity: Identity,
        epoch: u64,
        keeps_epoch: bool,
    ) -> Result<Self, StartError> {
        let id = identity.id();
        if let Some(expected) = config.agent.id
            && expected != id
        {
            return Err(StartError::WrongId { expected, id });
        }
        let parts = Roles {
            ingress: config.socks5.is_some(),
            transit: false,
            exit: config.exit.is_some(),
        };
        let warnings = identity.parsed().warnings(parts);
        warnings.iter().for_each(|text| warn!("{text}"));
        let trust = trust(&config, id)?;
        Ok(Self {
            config,
            file: None,
            identity: Arc::new(identity),
            trust: Arc::new(trust),
            epoch,
            added: Added::default(),
            keeps_epoch,
            notifier: Notifier::default(),
        })
    }

    /// The agent's id.
    pub fn id(&self) -> AgentId {
        self.identity.id()
    }

    /// Whom a dialled peer's certificate may come from.
    pub(super) fn trust_for(&self, peer: &Peer) -> Result<Arc<Trust>, StartError> {
        match &peer.ca {
            Some(ca) => Ok(Arc::new(self.trust.with_ca(ca)?)),
            None => Ok(self.trust.clone()),
        }
    }

    /// The name for people.
    pub(super) fn display_name(&self) -> String {
        let own = self.config.agent.display_name.clone();
        own.unwrap_or_else(|| self.id().to_string()[..8].to_owned())
    }
}

/// Whom the agent `own` trusts by `config`: CA files and lists of revocations are read.
pub(super) fn trust(config: &Config, own: AgentId) -> Result<Trust, StartError> {
    if let Some(peer) = config.peers.iter().find(|peer| peer.id == own) {
        return Err(StartError::OwnPeer {
            address: peer.address.to_string(),
            id: own,
        });
    }
    let mut pinned: BTreeSet<AgentId> = config.pinned();
    // What this agent says of itself is judged like everybody's word.
    pinned.insert(own);
    let own_ca = config.tls.ca.as_ref();
    let peer_cas = config.peers.iter().filter_map(|peer| peer.ca.as_ref());
    let trust = Trust::mesh(own_ca, peer_cas, pinned)?;
    Ok(trust.with_revoked(distrust::revoked(config)?))
}

fn load_identity(config: &Config) -> Result<Identity, StartError> {
    let loaded = match &config.tls.cert_and_key {
        Some((certificate, key)) => Identity::from_pem(certificate, key)?,
        None => Identity::load_or_create(Path::new(&config.agent.data_dir))?,
    };
    loaded.warning.iter().for_each(|text| warn!("{text}"));
    Ok(loaded.value)
}

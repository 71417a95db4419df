//! The agent's own certificate, read again while it runs. The key stays, because the id is the key's: a
//! certificate of another key is another agent's.

use super::error::StartError;
use crate::clock::unix_now;
use crate::config::Config;
use crate::identity::{Identity, Trust};

/// The identity that the files hold now, to be shown by an agent that shows `running`; `None`: they hold
/// none. Whole and of one piece, or an error: nothing has changed then.
pub(super) fn read(
    config: &Config,
    running: &Identity,
    trust: &Trust,
) -> Result<Option<Identity>, StartError> {
    let loaded = match &config.tls.cert_and_key {
        Some((certificate, key)) => Some(Identity::from_pem(certificate, key)?),
        None => Identity::load(&config.agent.data_dir)?,
    };
    let Some(loaded) = loaded else {
        return Ok(None);
    };
    let (own, id) = (running.id(), loaded.value.id());
    if own != id {
        return Err(StartError::OtherKey { own, id });
    }
    let is_vouched = |identity: &Identity| {
        trust
            .vouches_until(&identity.parsed(), unix_now())
            .is_some()
    };
    if is_vouched(running) && !is_vouched(&loaded.value) {
        return Err(StartError::NotVouched);
    }
    Ok(Some(loaded.value))
}

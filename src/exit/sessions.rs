//! One session per ingress: a new one ends the one before.
//!
//! An ingress process has one session with an exit and closes it before it opens the next. So an
//! earlier one that still looks alive here belongs to a process that died without a word, or was
//! given up there; without this its targets would keep their connections until it idles out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quinn::{Connection, VarInt};
use tracing::info;

use crate::identity::AgentId;

/// Application error code of a session that a later one of the same ingress replaced.
const REPLACED: VarInt = VarInt::from_u32(2);

/// The session of each ingress. No more entries than `limits.sessions`.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    current: Mutex<HashMap<AgentId, Connection>>,
}

impl Sessions {
    /// Notes the session of `ingress` and ends the one before.
    pub(super) fn enter(&self, ingress: AgentId, connection: &Connection) {
        let earlier = self.lock().insert(ingress, connection.clone());
        if let Some(earlier) = earlier {
            info!(%ingress, "an earlier session of this ingress ends: it opened another");
            earlier.close(REPLACED, b"replaced by a later session");
        }
    }

    /// Forgets a session that has ended, unless another has taken its place.
    pub(super) fn leave(&self, ingress: AgentId, connection: &Connection) {
        let mut current = self.lock();
        let is_current = |known: &Connection| known.stable_id() == connection.stable_id();
        if current.get(&ingress).is_some_and(is_current) {
            current.remove(&ingress);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentId, Connection>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
